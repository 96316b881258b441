#include "study/fake_cell.h"

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <map>
#include <string>

#include "study/cell.h"
#include "study/channel.h"

namespace assay::testing {
namespace {

using study::kChildOutput;

void send(const Json& record) {
  const std::string text = record.dump();
  study::write_frame(kChildOutput, text.data(), text.size());
}

Json row(const std::string& test, const Json& proved = true) {
  return {{"type", "row"},
          {"row",
           {{"model", "fake"},
            {"source", "fp32"},
            {"recipe", "fake"},
            {"device", "cpu"},
            {"status", proved == Json(false) ? "invalid" : "ok"},
            {"reason", proved == Json(false) ? "layer x: planned a, ran b" : ""},
            {"proved", proved},
            {"test", test},
            {"metrics", {{"tokens_per_second", {{"value", 12.5}, {"unit", "tokens/s"}}}}}}}};
}

void begin() {
  send({{"type", "stage"}, {"text", "load"}, {"fraction", 0.5}});
  send({{"type", "plan"}, {"plan", {{"recipe", "fake"}}}, {"model", "fake"}, {"parameters", 7}});
  send(row("pp8"));
}

void sleep_long() {
  for (int i = 0; i < 600; ++i) ::usleep(100'000);
}

void write_raw(const std::string& bytes) {
  if (::write(kChildOutput, bytes.data(), bytes.size()) < 0) ::_exit(9);
}

volatile sig_atomic_t told = 0;

/// Stops at the first sign, as a real cell does between two iterations.
void polite() {
  ::signal(SIGINT, [](int) { told = 1; });
  begin();
  while (told == 0) ::usleep(20'000);
  send(row("tg8"));
  send({{"type", "error"},
        {"code", 130},
        {"status", "interrupted"},
        {"message", "stopped by SIGINT"}});
}

void stubborn() {
  ::signal(SIGINT, SIG_IGN);
  begin();
  sleep_long();
}

/// Beats, each well inside the limit, for longer than the limit in all.
void slow_but_alive() {
  for (int i = 0; i < 12; ++i) {
    send({{"type", "stage"}, {"text", "slow"}, {"fraction", i / 12.0}});
    ::usleep(100'000);
  }
  send(row("pp8"));
}

void end() { send({{"type", "end"}, {"environment", {{"witness", "child"}}}}); }

void error(const std::string& status, const std::string& message) {
  send({{"type", "error"}, {"code", 1}, {"status", status}, {"message", message}});
}

/// The cell that play_cell() was given.
study::Cell& given() {
  static study::Cell cell;
  return cell;
}

/// Is stopped behind two answers, and asks for these two when it is run again.
int stop_once() {
  begin();
  if (given().resume.is_null()) {
    send({{"type", "items"}, {"test", "sst2"}, {"items", {{{"i", 2}, {"a", "x"}}, {{"i", 0}}}}});
    error("interrupted", "stopped");
    return 130;
  }
  const Json left = given().resume.at("sst2");
  if (left.size() != 2 || left[0] != Json{{"i", 0}} || left[1].at("a") != "x") {
    error("failed", "other answers: " + left.dump());
    return 1;
  }
  send({{"type", "items"}, {"test", "sst2"}, {"items", {{{"i", 1}}}}});
  send(row("sst2"));
  end();
  return 0;
}

/// How often this cell was begun, counted in a file beside its model; from 1.
int round_now() {
  const std::string file =
      given().model + "." + given().recipe_name.substr(0, given().recipe_name.find(' '));
  std::FILE* log = std::fopen(file.c_str(), "a+");
  if (log == nullptr) ::_exit(9);
  std::fputc('x', log);
  std::fflush(log);
  const int round = static_cast<int>(std::ftell(log));
  std::fclose(log);
  return round;
}

/// A timed row of one iteration, which took as many seconds as this is the how-manieth round.
int timed(int crash_in_round) {
  const int round = round_now();
  if (round == crash_in_round) ::raise(SIGSEGV);
  Json record = row("pp8");
  record["row"]["samples"] = {round};
  record["row"]["metrics"]["tokens_per_second"] = {
      {"value", 8.0 / round}, {"unit", "tokens/s"}, {"per_iteration", 8.0}, {"n", 1}};
  send(record);
  for (const Json& task : given().tasks) send(row(task.at("task").get<std::string>()));
  end();
  return 0;
}

const std::map<std::string, std::function<int()>>& scripts() {
  static const std::map<std::string, std::function<int()>> all = {
      {"ok",
       [] {
         begin();
         send({{"type", "items"}, {"test", "pp8"}, {"items", {1, 2, 3}}});
         end();
         return 0;
       }},
      {"stops once", stop_once},
      {"timed", [] { return timed(0); }},
      {"timed too", [] { return timed(0); }},
      {"crashes in its second round", [] { return timed(2); }},
      {"ok2",
       [] {
         begin();
         end();
         return 0;
       }},
      {"unproved",
       [] {
         begin();
         send(row("tg8", nullptr));
         end();
         return 0;
       }},
      {"disproved",
       [] {
         begin();
         send(row("tg8", false));
         end();
         return 0;
       }},
      {"unsupported",
       [] {
         error("unsupported", "layer x: no kernel");
         return 69;
       }},
      {"oom",
       [] {
         error("oom", "an allocation failed");
         return 1;
       }},
      {"crash",
       [] {
         begin();
         std::fputs("first\nthe last words\n", stderr);
         ::raise(SIGSEGV);
         return 0;
       }},
      {"bus",
       [] {
         begin();
         ::raise(SIGBUS);
         return 0;
       }},
      {"killed",
       [] {
         begin();
         ::raise(SIGKILL);
         return 0;
       }},
      {"hang",
       [] {
         begin();
         sleep_long();
         return 0;
       }},
      {"half a frame, then hang",
       [] {
         begin();
         write_raw(std::string("\x40\0\0\0{\"ty", 8));
         sleep_long();
         return 0;
       }},
      {"half a frame",
       [] {
         begin();
         write_raw(std::string("\x40\0\0\0{\"ty", 8));
         return 0;
       }},
      {"huge frame",
       [] {
         begin();
         write_raw("\xff\xff\xff\xffzzzz");
         sleep_long();
         return 0;
       }},
      {"no json",
       [] {
         begin();
         write_raw(std::string("\x03\0\0\0abc", 7));
         sleep_long();
         return 0;
       }},
      {"no record",
       [] {
         begin();
         send({{"type", "cheese"}});
         sleep_long();
         return 0;
       }},
      {"row without fields",
       [] {
         begin();
         send({{"type", "row"}});
         sleep_long();
         return 0;
       }},
      {"after the end",
       [] {
         end();
         send(row("pp8"));
         sleep_long();
         return 0;
       }},
      {"exits early",
       [] {
         begin();
         return 7;
       }},
      {"crash after the end",
       [] {
         begin();
         end();
         ::raise(SIGABRT);
         return 0;
       }},
      {"closes and hangs",
       [] {
         begin();
         ::close(kChildOutput);
         sleep_long();
         return 0;
       }},
      {"polite",
       [] {
         polite();
         return 130;
       }},
      {"stubborn",
       [] {
         stubborn();
         return 0;
       }},
      {"slow but alive",
       [] {
         slow_but_alive();
         end();
         return 0;
       }},
      {"prints",
       [] {
         begin();
         std::puts("this is no result");
         std::fflush(stdout);
         end();
         return 0;
       }},
  };
  return all;
}

}  // namespace

int play_cell() {
  study::prepare_child();
  std::string text;
  char chunk[4096];
  for (ssize_t n = 0; (n = ::read(STDIN_FILENO, chunk, sizeof chunk)) > 0;) {
    text.append(chunk, static_cast<std::size_t>(n));
  }
  given() = study::Cell::from_json(base::parse_json(text, "cell"));
  const auto script = scripts().find(given().recipe_name);
  return script == scripts().end() ? 99 : script->second();
}

}  // namespace assay::testing
