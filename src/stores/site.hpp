// An installation whose daemon is stopped: its log and its state, opened for a command that moves
// them.
#pragma once

#include <memory>
#include <set>
#include <string>

#include "config/model.hpp"
#include "millrace/event_log.hpp"
#include "millrace/state_store.hpp"
#include "state/installation.hpp"
#include "storage/disk.hpp"

namespace millrace::stores {

struct Site {
  std::unique_ptr<Disk> disk;
  std::unique_ptr<EventLog> log;  ///< after what it is opened with
  std::unique_ptr<StateStore> state;
  Installation installation;
  std::set<std::string> topics;  ///< that configuration and state know of

  Site() = default;
  Site(Site&&) = default;
  Site& operator=(Site&&) = delete;
  ~Site();
};

/// The one that is left. Errc::not_found where there is no installation; locked while the daemon
/// runs; the guards of a start. `moved_too`: also when it was left before.
Result<Site> open_site(const config::Config& config, bool moved_too = false);

/// The state over there, made if there is none. Errc::conflict when it belongs to an installation.
Result<std::unique_ptr<StateStore>> open_new_state(const config::Config& config);

/// The log that a configuration names; on Kafka with these topics.
Result<std::unique_ptr<EventLog>> open_log(Disk& disk, const config::Config& config,
                                           const std::set<std::string>& topics);

/// Errc::invalid_argument when they are not one installation.
Result<void> check_same(const config::Installation& from, const config::Installation& to);

/// "Kafka (k1:9092, millrace.lyon.*)", "/var/lib/millrace/log", for people.
std::string log_place(const config::Installation& installation);
std::string state_place(const config::Installation& installation);

}  // namespace millrace::stores
