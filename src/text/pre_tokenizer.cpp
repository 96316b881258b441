#include "text/pre_tokenizer.h"

#include "text/bert_classes.h"
#include "text/byte_pieces.h"
#include "text/growth.h"
#include "text/replacement.h"

namespace assay::text {
namespace {

/// A part of a piece that matched, or lay between matches.
struct Part {
  Range range;
  bool match = false;
};

/// Matches of a pattern and the gaps between them; together they cover `piece`.
struct PatternFinder {
  const SplitStep& step;
  std::vector<Range> matches;

  void operator()(std::string_view text, Range piece, std::vector<Part>& parts) {
    matches.clear();
    step.pattern->find_all(piece.of(text), matches);
    std::size_t previous = 0;
    const auto add = [&](std::size_t begin, std::size_t end, bool match) {
      parts.push_back({{piece.begin + begin, piece.begin + end}, match != step.invert});
    };
    for (const Range& found : matches) {
      if (found.begin != previous) add(previous, found.begin, false);
      add(found.begin, found.end, true);
      previous = found.end;
    }
    if (previous != piece.size()) add(previous, piece.size(), false);
  }
};

/// Every code point for which `is_match` holds is a match of its own.
template <typename Predicate>
struct CharacterFinder {
  Predicate is_match;

  void operator()(std::string_view text, Range piece, std::vector<Part>& parts) const {
    std::size_t gap = piece.begin;
    for (std::size_t at = piece.begin; at < piece.end;) {
      const std::size_t begin = at;
      if (!is_match(next_code_point(text, at))) continue;
      if (gap != begin) parts.push_back({{gap, begin}, false});
      parts.push_back({{begin, at}, true});
      gap = at;
    }
    if (gap != piece.end) parts.push_back({{gap, piece.end}, false});
  }
};
template <typename Predicate>
CharacterFinder(Predicate) -> CharacterFinder<Predicate>;

bool joins_previous(SplitBehavior behavior, const Part& previous, const Part& part) {
  switch (behavior) {
    case SplitBehavior::contiguous:
      return previous.match == part.match;
    case SplitBehavior::merged_with_previous:
      return part.match && !previous.match;
    case SplitBehavior::merged_with_next:
      return previous.match && !part.match;
    default:
      return false;
  }
}

/// Turns the parts of one piece into new pieces; empty ones are dropped.
void join(SplitBehavior behavior, const std::vector<Part>& parts, std::vector<Range>& out) {
  const Part* previous = nullptr;
  bool open = false;
  Range current;
  const auto flush = [&] {
    if (open && current.size() > 0) out.push_back(current);
    open = false;
  };
  for (const Part& part : parts) {
    if (behavior == SplitBehavior::removed && part.match) {
      flush();
    } else if (open && previous != nullptr && joins_previous(behavior, *previous, part)) {
      current.end = part.range.end;
    } else {
      flush();
      current = part.range;
      open = true;
    }
    previous = &part;
  }
  flush();
}

template <typename Finder>
void split(Pieces& pieces, SplitBehavior behavior, Finder&& finder) {
  std::vector<Range> out;
  out.reserve(pieces.ranges.size());
  std::vector<Part> parts;
  for (const Range& piece : pieces.ranges) {
    parts.clear();
    finder(pieces.text, piece, parts);
    join(behavior, parts, out);
  }
  pieces.ranges = std::move(out);
}

void apply(const SplitStep& step, Pieces& pieces) {
  split(pieces, step.behavior, PatternFinder{step, {}});
}

void apply(const DigitsStep& step, Pieces& pieces) {
  split(pieces, step.individual ? SplitBehavior::isolated : SplitBehavior::contiguous,
        CharacterFinder{is_numeric});
}

void apply(const BertStep& /*step*/, Pieces& pieces) {
  split(pieces, SplitBehavior::removed, CharacterFinder{is_white_space});
  split(pieces, SplitBehavior::isolated, CharacterFinder{is_bert_punctuation});
}

/// Writes every piece anew; edit(old, begin, out) appends what becomes of a piece to `out`.
template <typename Edit>
void rewrite(Pieces& pieces, Edit&& edit) {
  std::string text;
  text.reserve(pieces.text.size() + pieces.ranges.size());
  for (Range& piece : pieces.ranges) {
    const std::size_t begin = text.size();
    edit(piece.of(pieces.text), piece.begin, text);
    piece = {begin, text.size()};
  }
  pieces.text = std::move(text);
}

void apply(const PrefixSpaceStep& /*step*/, Pieces& pieces) {
  rewrite(pieces, [](std::string_view old, std::size_t /*begin*/, std::string& out) {
    if (!old.starts_with(' ')) out += ' ';
    out += old;
  });
}

void apply(const MetaspaceStep& step, Pieces& pieces) {
  using enum MetaspaceStep::Prepend;
  std::string mark;
  append_utf8(mark, step.replacement);
  rewrite(pieces, [&](std::string_view old, std::size_t begin, std::string& out) {
    const bool here =
        step.prepend == always || (step.prepend == first && pieces.at_start && begin == 0);
    if (here && !old.starts_with(' ') && !old.starts_with(mark)) out += mark;
    out += replace({" ", nullptr, mark}, old);
  });
  if (!step.split) return;
  split(pieces, SplitBehavior::merged_with_next,
        CharacterFinder{[&](char32_t c) { return c == step.replacement; }});
}

void apply(const ByteLevelStep& /*step*/, Pieces& pieces) {
  rewrite(pieces, [](std::string_view old, std::size_t /*begin*/, std::string& out) {
    out += bytes_to_piece(old);
  });
}

void apply(const PunctuationStep& step, Pieces& pieces) {
  split(pieces, step.behavior, CharacterFinder{is_bert_punctuation});
}

void apply(const WhiteSpaceStep& step, Pieces& pieces) {
  split(pieces, SplitBehavior::removed, CharacterFinder{is_white_space});
  if (step.cut_words) split(pieces, SplitBehavior::contiguous, CharacterFinder{is_word});
}

void apply(const DelimiterStep& step, Pieces& pieces) {
  split(pieces, SplitBehavior::removed,
        CharacterFinder{[&](char32_t c) { return c == step.delimiter; }});
}

}  // namespace

void pre_tokenize(const PreTokenizer& steps, Pieces& pieces) {
  const std::size_t before = pieces.text.size();
  for (const PreTokenizerStep& step : steps) {
    std::visit([&](const auto& s) { apply(s, pieces); }, step);
    check_growth(before, pieces.text.size());
  }
}

}  // namespace assay::text
