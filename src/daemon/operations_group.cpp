// The group in the answers of the admin plane: who works on what, and what is wrong with it.
#include <fmt/format.h>

#include <set>

#include "daemon/operations.hpp"

namespace millrace::daemon {
namespace {

/// An instance that has said nothing for so long is not one that was just started again.
constexpr seconds kGoneAfter{30};

std::string partitions_text(PartitionSet partitions) {
  std::string text;
  for (Partition p = 0; p < kPartitionCount; ++p) {
    if (partitions.contains(p)) text += fmt::format("{}{}", text.empty() ? "" : " ", p);
  }
  return text;
}

const GroupMember* member_of(const GroupView& view, const std::string& instance) {
  for (const GroupMember& member : view.members) {
    if (member.instance == instance) return &member;
  }
  return nullptr;
}

bool works(const GroupView& view, const std::string& instance, const InstanceNote& note) {
  const GroupMember* member = member_of(view, instance);
  return member != nullptr && member->session == note.session;
}

std::uint64_t spooled_by_the_gone(const GroupView& view) {
  std::uint64_t sum = 0;
  for (const auto& [name, note] : view.notes) {
    if (!works(view, name, note)) sum += note.spooled.value_or(0);
  }
  return sum;
}

}  // namespace

// null where the installation is one instance.
Json Operations::group_json() const {
  if (!broker_.membership_) return {};
  const GroupView view = broker_.membership_->view();
  JsonArray instances;
  for (const auto& [name, note] : view.notes) {
    const bool alive = works(view, name, note);
    const PartitionSet has = alive ? view.held_by(note.session) : PartitionSet();
    instances.push_back(JsonObject{{"name", name},
                                   {"state", alive ? "working" : "gone"},
                                   {"here", name == broker_.membership_->instance()},
                                   {"admin", note.admin},
                                   {"version", note.version},
                                   {"generation", note.generation},
                                   {"content_hash", note.content_hash},
                                   {"said_at", to_rfc3339(note.at)},
                                   {"spooled", note.spooled ? Json(*note.spooled) : Json()},
                                   {"partitions", has.size()},
                                   {"partition_list", partitions_text(has)}});
  }
  PartitionSet nobody;
  for (Partition p = 0; p < kPartitionCount; ++p) {
    if (view.held(p) == nullptr) nobody.insert(p);
  }
  return JsonObject{{"instances", std::move(instances)},
                    {"unowned", nobody.size()},
                    {"may_begin_requests", broker_.membership_->may_begin()}};
}

void Operations::append_group_metrics(std::string& out) const {
  if (!broker_.membership_) return;
  const auto gauge = [&out](std::string_view name, std::string_view help, std::size_t value) {
    fmt::format_to(std::back_inserter(out), "# HELP {0} {1}\n# TYPE {0} gauge\n{0} {2}\n", name,
                   help, value);
  };
  gauge("millrace_instances_working", "Instances that work, as this one sees the group.",
        broker_.membership_->view().working().size());
  gauge("millrace_partitions_owned", "Partitions that this instance works on.",
        broker_.owned().size());
  gauge("millrace_spool_records_of_the_gone",
        "Messages in spools of instances that are gone, by their last word.",
        spooled_by_the_gone(broker_.membership_->view()));
  gauge("millrace_may_begin_requests", "1 while this instance can confirm its session.",
        broker_.membership_->may_begin() ? 1 : 0);
  fmt::format_to(std::back_inserter(out),
                 "# HELP {0} Late events of instances that no longer had their partition: passed "
                 "over.\n# TYPE {0} counter\n{0} {1}\n",
                 "millrace_log_passed_over_total", broker_.log_->passed_over());
}

JsonArray Operations::group_problems() const {
  JsonArray list;
  if (!broker_.membership_) return list;
  const GroupView view = broker_.membership_->view();
  const WallTime now = broker_.clock_.wall_now();
  if (!broker_.membership_->may_begin()) {
    list.push_back(
        problem("this instance cannot confirm that its partitions are its own: it sends "
                "nothing",
                {}, "", "group", "look at the PostgreSQL server and the way to it"));
  }
  std::set<std::string> contents;
  for (const auto& [name, note] : view.notes) {
    if (works(view, name, note)) {
      contents.insert(note.content_hash);
    } else if (note.spooled.value_or(0) > 0) {
      list.push_back(problem(
          fmt::format("instance {} is gone, and {} messages that it acknowledged wait in its spool",
                      name, *note.spooled),
          note.at, "", name, "start it again with its spool directory"));
    } else if (now - note.at > kGoneAfter) {
      list.push_back(problem(fmt::format("instance {} is gone; others have its partitions", name),
                             note.at, "", name, "start it again; after a day it is forgotten"));
    }
  }
  if (contents.size() > 1) {
    list.push_back(problem("instances run different configurations", {}, "", "group",
                           "give all the same files, then millrace reload on each"));
  }
  return list;
}

}  // namespace millrace::daemon
