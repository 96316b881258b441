"""Energy through the command line, with a made-up RAPL tree and a made-up NVML library."""
import csv
import io
import os
import threading
import time

import unittest

from support import Case, SMALL_DECODER, SMALL_ENCODER

WATTS = 40.0
NO_GPU = {"ASSAY_NVML_LIBRARY": "/nowhere/libnvidia-ml.so.1"}
BENCH = ["bench", "-m", SMALL_ENCODER, "-b", "2", "-s", "16", "-r", "30", "--precision", "fp32"]


class Powercap:
    """A powercap tree with one package that draws WATTS; its counter moves every 2 ms or so. The number has
    a fixed width, so that each write replaces the one before it in one piece."""

    def __init__(self, folder, fault=lambda joules: joules):
        zone = folder / "powercap" / "intel-rapl:0"
        zone.mkdir(parents=True)
        (zone / "name").write_text("package-0\n")
        (zone / "max_energy_range_uj").write_text("262143328850\n")
        (zone / "constraint_0_power_limit_uw").write_text("65000000\n")
        self.file = os.open(zone / "energy_uj", os.O_RDWR | os.O_CREAT)
        self.root, self.fault, self.stop = zone.parent, fault, threading.Event()
        self.begin = time.monotonic()
        self.write()
        self.thread = threading.Thread(target=self.run)

    def write(self):
        joules = self.fault(WATTS * (time.monotonic() - self.begin))
        os.pwrite(self.file, b"%020d\n" % int(joules * 1e6), 0)

    def run(self):
        while not self.stop.wait(0.002):
            self.write()

    def __enter__(self):
        self.thread.start()
        return dict(NO_GPU, ASSAY_POWERCAP_ROOT=str(self.root))

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        os.close(self.file)


class Rapl(Case):
    def bench(self, *more, fault=lambda joules: joules):
        with Powercap(self.folder, fault) as env:
            return self.run_ok(*BENCH, "--store", self.store, *more, env=env)

    def test_joules_in_every_format(self):
        document = self.bench("-o", "json", "--min-seconds", "3").json()
        meter = document["environment"]["energy_meters"]["cpu"]
        self.assertEqual(meter["name"], "RAPL package-0")
        [row] = document["rows"]
        gross, net = row["metrics"]["energy_gross"], row["metrics"]["energy_net"]
        self.assertEqual((gross["unit"], gross["meter"]), ("J/sample", "RAPL package-0"))
        # Two samples an iteration: joules, watts, seconds and iterations say the same.
        self.assertAlmostEqual(gross["value"] * 2 * gross["iterations"],
                               gross["watts"] * gross["seconds"], places=6)
        self.assertLess(abs(gross["watts"] / WATTS - 1), 0.2, gross)
        self.assertGreaterEqual(gross["steps"], 60)
        self.assertEqual(len(gross["windows"]), 3)
        self.assertGreater(gross["error"], 0)
        # The power is the same all the time: nothing is left without it.
        self.assertLess(abs(net["value"]), gross["value"] / 2, (gross, net))
        self.assertEqual(row["iterations"]["asked"], 30)
        self.assertEqual(row["iterations"]["ran"], len(row["samples"]))
        self.assertGreaterEqual(row["iterations"]["ran"], 30)
        self.assertGreaterEqual(row["iterations"]["checked"], 3)
        table = self.run_ok("report", self.store, env=NO_GPU).out
        self.assertRegex(table, r" energy .*\n-.*\nfp32 .* ±\S+ m?J/sample ")
        self.run_ok("report", self.store, "--csv", self.folder, env=NO_GPU)
        [line] = csv.DictReader(io.StringIO((self.folder / "rows.csv").read_text()))
        self.assertEqual(float(line["energy_gross"]), gross["value"])
        self.assertEqual(line["energy_gross_unit"], "J/sample")

    def test_the_first_screen_names_the_meter(self):
        self.assertIn("energy: RAPL package-0", self.bench().err)

    def test_a_counter_that_is_not_to_be_believed_leaves_the_times(self):
        for fault, word in ((lambda joules: 50 - joules, "backwards"), (lambda joules: 7.0, "stood still"),
                            (lambda joules: 100 * joules, "the device can draw 65 W")):
            with self.subTest(word):
                self.folder = self.folder / word.split()[0]
                self.folder.mkdir()
                [row] = self.bench("-o", "json", fault=fault).json()["rows"]
                for name in ("energy_gross", "energy_net"):
                    self.assertIsNone(row["metrics"][name]["value"])
                    self.assertIn(word, row["metrics"][name]["reason"])
                self.assertEqual(row["status"], "ok")
                self.assertGreater(row["metrics"]["latency"]["value"], 0)

    def test_without_a_meter_the_reason_is_in_row_and_table(self):
        env = dict(NO_GPU, ASSAY_POWERCAP_ROOT=str(self.folder / "none"))
        run = self.run_ok(*BENCH, "--store", self.store, env=env)
        self.assertIn("this machine shows no RAPL counter", run.out)
        self.assertIn("energy: none (this machine shows no RAPL counter", run.err)
        self.assertIn("GPU: none (no NVIDIA driver", run.err)
        [row] = self.run_ok("report", self.store, "--json").json()["rows"]
        self.assertIsNone(row["metrics"]["energy_net"]["value"])
        self.assertIsNone(row["metrics"]["peak_device_memory"]["value"])

    def test_decoders_are_metered_by_token(self):
        with Powercap(self.folder) as env:
            rows = self.run_ok("bench", "-m", SMALL_DECODER, "-p", "8", "-n", "4", "-r", "2", "-o", "json",
                               "--store", self.store, env=env).json()["rows"]
        for row in rows:
            gross = row["metrics"]["energy_gross"]
            self.assertEqual(gross["unit"], "J/token")
            tokens = 8 if row["test"] == "pp8" else 4
            self.assertAlmostEqual(gross["value"] * tokens * gross["iterations"],
                                   gross["watts"] * gross["seconds"], places=6)


@unittest.skipUnless("ASSAY_FAKE_NVML_LIBRARY" in os.environ, "needs the library that the tests build")
class Nvml(Case):
    def test_the_gpu_is_in_the_record_before_and_after(self):
        env = {"ASSAY_NVML_LIBRARY": os.environ["ASSAY_FAKE_NVML_LIBRARY"],
               "ASSAY_FAKE_NVML": "gpus=2;foreign=4242;throttle=4", "CUDA_VISIBLE_DEVICES": "1"}
        run = self.run_ok(*BENCH, "--store", self.store, "-o", "json", env=env)
        environment = run.json()["environment"]
        self.assertEqual(environment["gpu"]["uuid"], "GPU-00000001-fake")
        for state in (environment["gpu"]["state"], environment["before"]["gpu"]):
            self.assertEqual((state["sm_mhz"], state["celsius"]), (1980, 41))
            self.assertEqual(state["throttled"], ["power cap"])
        self.assertIn("GPU: Fake GPU", run.err)
        self.assertIn("NVML total energy of GPU-00000001-fake", run.err)


if __name__ == "__main__":
    unittest.main()
