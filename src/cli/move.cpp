#include "cli/move.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <chrono>
#include <ostream>

#include "cli/text.hpp"
#include "config/load.hpp"
#include "connectors/all_connectors.hpp"
#include "stores/state_copy.hpp"

namespace millrace::cli {
namespace {

constexpr seconds kTellEvery{2};

/// With its secrets: they open Kafka and PostgreSQL.
Result<config::ConfigPtr> load_whole(const std::string& directory) {
  ConnectorRegistry connectors;
  register_all_connectors(connectors);
  const auto report = config::load({.directory = directory,
                                    .connectors = connectors,
                                    .environment = config::process_environment()});
  if (report.config) return report.config;
  for (const config::Problem& problem : report.problems) {
    if (problem.level != config::Problem::Level::error) continue;
    return fail(Errc::config,
                fmt::format("{}: {}; millrace lint says more", directory, problem.message));
  }
  return fail(Errc::config, fmt::format("{} cannot be read", directory));
}

/// Says every two seconds how far it is, and how fast.
class Teller {
 public:
  Teller(std::ostream& out, std::string_view what) : out_(out), what_(what) {}

  void operator()(const stores::CopyProgress& progress) {
    const auto now = std::chrono::steady_clock::now();
    if (progress.doing != doing_) {
      doing_ = progress.doing;
      began_ = last_ = now;
      before_ = progress.done;
    }
    if (now - last_ < kTellEvery) return;
    last_ = now;
    const double passed = std::chrono::duration<double>(now - began_).count();
    out_ << fmt::format("{} {} of {} {}, {:.0f}/s\n", doing_, progress.done, progress.of, what_,
                        static_cast<double>(progress.done - before_) / passed);
    out_.flush();
  }

 private:
  std::ostream& out_;
  std::string_view what_;
  std::string doing_;
  std::chrono::steady_clock::time_point began_;
  std::chrono::steady_clock::time_point last_;
  std::uint64_t before_ = 0;
};

using Copy = Result<stores::CopyReport>(const config::Config&, const config::Config&,
                                        const stores::ProgressListener&);

int run_copy(const Session& session, const std::string& to, std::string_view what, Copy* copy,
             const std::string& next) {
  const auto began = std::chrono::steady_clock::now();
  const auto old_one = load_whole(session.config_directory);
  if (!old_one) return cannot(session, old_one.error());
  const auto new_one = load_whole(to);
  if (!new_one) return cannot(session, new_one.error());
  // What the stores say for a daemon's log is told by the errors here.
  spdlog::set_level(spdlog::level::err);
  const auto report = copy(**old_one, **new_one, Teller(session.err, what));
  if (!report) return cannot(session, report.error());
  if (session.json) {
    session.out << write_json(Json(JsonObject{{std::string(what), report->items},
                                              {"from", report->from},
                                              {"to", report->to}}))
                << '\n';
    return kOk;
  }
  const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - began;
  session.out << fmt::format("copied {} {} from {} to {} in {:.1f} s\nnext: {}\n", report->items,
                             what, printable(report->from), printable(report->to), passed.count(),
                             printable(next));
  return kOk;
}

}  // namespace

int run_log_copy(const Session& session, const std::string& to) {
  return run_copy(
      session, to, "records", stores::copy_log,
      fmt::format("millrace --config {} state copy --to {}", session.config_directory, to));
}

int run_state_copy(const Session& session, const std::string& to) {
  return run_copy(session, to, "rows", stores::copy_state,
                  fmt::format("start millraced with --config {}; the old installation starts no "
                              "more",
                              to));
}

}  // namespace millrace::cli
