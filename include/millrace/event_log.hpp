// EventLog: the durable, ordered memory of everything that came in and everything that was said.
// Promises: append's completion means durable (fdatasync returned); read returns durable records
// only, never skips and never reorders within a partition (semantics 3).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "millrace/clock.hpp"
#include "millrace/executor.hpp"
#include "millrace/ids.hpp"
#include "millrace/record_id.hpp"
#include "millrace/reigns.hpp"
#include "millrace/result.hpp"

namespace millrace {

enum class Journal : std::uint8_t {
  inbox = 0,   ///< messages as received; topic = connection
  events = 1,  ///< canonical events; topic = entity
  trail = 2    ///< hops of every record; appends do not wait for the disk
};
inline constexpr std::size_t kJournalCount = 3;
std::string_view to_string(Journal journal);

/// What has offsets of its own. A log on files counts all topics of a journal together; a log on
/// Kafka counts each topic of the events by itself.
struct LogStream {
  Journal journal = Journal::events;
  std::string topic;  ///< empty: all topics of the journal
  // NOLINTNEXTLINE(google-explicit-constructor): the inbox and the trail are one stream each
  LogStream(Journal all_of, std::string only = {}) : journal(all_of), topic(std::move(only)) {}
  friend auto operator<=>(const LogStream&, const LogStream&) = default;
};
/// "events", or "events/order".
std::string to_string(const LogStream& stream);
/// The owner of cursors that are kept for each stream: "tail", or "tail/order".
std::string cursor_owner(std::string_view owner, const LogStream& stream);

/// One record to append.
struct LogEntry {
  Partition partition = 0;
  std::string topic;
  std::string payload;
  /// What the payload says, already decoded, for followers of this process; may be empty.
  std::shared_ptr<const void> decoded;
  /// By which a log that may come to hold it twice knows the repeat; may be empty.
  std::string id;
  /// Only who owns the partition appends it: it counts as the partition's reigns say.
  bool of_owner = false;
};

/// One durable record; the views point into the batch that holds it.
struct LogRecord {
  Partition partition = 0;
  Offset offset = 0;       ///< rises within (stream, partition), from 0; dense on files
  WallTime appended_at;    ///< never goes down within (stream, partition)
  std::string_view topic;  ///< empty: it repeats an earlier one and says nothing
  std::string_view payload;
  std::shared_ptr<const void> decoded;  ///< as its entry had it; empty when read from the disk
};

/// Immutable, in log order, alive as long as anyone holds it.
struct RecordBatch {
  std::string bytes;  ///< what the views point into
  std::vector<LogRecord> records;
};
using RecordBatchPtr = std::shared_ptr<const RecordBatch>;

/// A decoded payload takes about so many times the memory of its text: every number, text and
/// member of an object is a node of its own.
inline constexpr std::size_t kDecodedFactor = 8;
/// What a batch from the tail keeps in memory, or will once its payloads are decoded.
inline std::size_t memory_of(const RecordBatch& batch) {
  return batch.bytes.size() * (1 + kDecodedFactor);
}

using PartitionOffsets = std::array<Offset, kPartitionCount>;
inline constexpr Offset kSkipPartition = ~Offset{0};

/// Reads one stream forward. Blocking: call it on a reader thread, never on a shard. Not
/// thread-safe.
class LogReader {
 public:
  virtual ~LogReader() = default;
  /// The next durable records at or after the start offsets, in log order; an empty batch at the
  /// durable end (call again later). Stops at whichever limit comes first, but always progresses.
  virtual Result<RecordBatchPtr> next(std::size_t records_max, std::size_t bytes_max) = 0;
  /// Per partition, the offset `next` will return first (everything durable below it was returned).
  virtual const PartitionOffsets& position() const = 0;
};

class EventLog {
 public:
  using AppendDone = std::move_only_function<void(Result<std::vector<Offset>>)>;
  using TailListener = std::function<void(const LogStream&, const RecordBatchPtr&)>;

  virtual ~EventLog() = default;

  /// Appends a group that is never split across frames. `done` runs on `home` once the group is
  /// durable (inbox, events) or written (trail), with one offset per entry, and is destroyed there
  /// at once. Errc::disk_full:
  /// nothing was appended, later appends may succeed. Errc::too_large: the group exceeds a frame
  /// (16 MB). A failed write or sync is final: the fatal handler runs and no completion follows.
  virtual void append(Journal journal, std::vector<LogEntry> group, Executor& home,
                      AppendDone done) = 0;

  using AcceptDone = std::move_only_function<void(Result<void>)>;
  /// Takes a group whose sender waits for the answer. Durable once `done` runs, in the log or,
  /// where there is one, in a spool beside it, from which it comes into the log later and in order.
  /// Errors as those of append.
  virtual void accept(Journal journal, std::vector<LogEntry> group, Executor& home,
                      AcceptDone done) {
    append(journal, std::move(group), home,
           [done = std::move(done)](Result<std::vector<Offset>> offsets) mutable {
             if (offsets) return done({});
             done(std::unexpected(std::move(offsets).error()));
           });
  }

  /// The stream that records of `topic` lie in.
  virtual LogStream stream_of(Journal journal, std::string_view) const { return journal; }
  /// All streams of a journal.
  virtual std::vector<LogStream> streams(Journal journal) const { return {journal}; }

  /// From now on `listener` is handed every durable batch of each stream of `journal`, in log
  /// order, on the writer thread, before the completions of that batch. Must not block. Call before
  /// the first append.
  virtual void set_tail_listener(Journal journal, TailListener listener) = 0;

  /// Where others append as well: from now on what anybody appends to these partitions of the inbox
  /// and the events reaches the tail listener, and of the others nothing does. The tail begins at
  /// the present ends, which `ends` tells then; a partition that was followed already goes on. A
  /// completion does not wait for the tail any more where records of others lie before its own.
  /// When it fails, partitions that are not among these are let go all the same. Blocking. A log
  /// that nobody else appends to tells everything always.
  virtual Result<void> follow(const std::set<Partition>&) { return {}; }

  /// Where others append as well: from now on neither readers nor the tail tell what does not count
  /// by these; the partitions of other streams have none. Thread-safe.
  virtual void set_reigns(TopicReigns) {}
  /// How many records did not count, since the start; each once.
  virtual std::uint64_t passed_over() const { return 0; }

  /// A reader that returns records with offset >= from[p] of every partition not kSkipPartition.
  /// Errc::not_found when from[p] lies before the retained records.
  virtual Result<std::unique_ptr<LogReader>> open_reader(const LogStream& stream,
                                                         const PartitionOffsets& from) = 0;

  /// Where others append as well, what they appended counts in `ends` once this was called, or the
  /// partition is followed. Blocking.
  virtual Result<void> look(const LogStream&) { return {}; }
  /// Per partition, the offset the next durable record will get.
  virtual PartitionOffsets ends(const LogStream& stream) const = 0;
  /// Per partition, the oldest retained offset.
  virtual PartitionOffsets begins(const LogStream& stream) const = 0;

  /// Which of the ids side files hold since `since`; those in an IdMemory are not looked for.
  /// Blocking: reader threads only. Errc::overloaded while a side file is made anew.
  virtual Result<std::vector<bool>> known_ids(Journal, std::span<const RecordId> ids, WallTime) {
    return std::vector<bool>(ids.size());
  }
  /// Whether there is anything for `known_ids` to look into; cheap, from any thread.
  virtual bool archives_ids(Journal) const { return false; }

  /// Opaque text of all journals' durable ends, stored with each state commit; `verify_ends`
  /// refuses (Errc::corrupt) a log that ends before them: acknowledged frames were cut off.
  virtual std::string durable_ends() const = 0;
  virtual Result<void> verify_ends(std::string_view stored) const = 0;

  /// Made when the log is created.
  virtual std::string uuid() const = 0;
  /// What a cursor in that stream carries: the log's UUID, and the topic where that matters.
  std::string id_of(const LogStream& stream) const {
    return stream.topic.empty() ? uuid() : uuid() + "/" + stream.topic;
  }
  virtual bool empty() const = 0;

  struct Usage {
    std::uint64_t bytes = 0;      ///< on disk, all journals
    std::uint64_t disk_free = 0;  ///< bytes free on its file system
    std::uint64_t disk_size = 0;
    double disk_free_fraction = 1;  ///< ingress refuses below `retention.min_free`
  };
  virtual Usage usage() const = 0;

  /// A part of a stream that can be dropped as a whole.
  struct SealedPart {
    std::uint64_t bytes = 0;
    WallTime last_at;         ///< of its last record
    PartitionOffsets ends{};  ///< offsets of the records that come next
  };
  /// The sealed segments, the oldest first.
  virtual std::vector<SealedPart> sealed_parts(const LogStream&) const { return {}; }

  /// Something wrong with the log's files that does not stop it.
  struct Trouble {
    std::string what;  ///< names the file, and the byte where there is one
    WallTime since;
    std::string next;  ///< what a person does about it
  };
  virtual std::vector<Trouble> troubles() const { return {}; }

  /// What was accepted and is not in the log yet.
  struct Spooled {
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;            ///< of their payloads
    std::optional<WallTime> oldest_at;  ///< when the oldest came; none waits: nullopt
    std::uint64_t spooled_total = 0;    ///< since the start
    std::uint64_t forwarded_total = 0;  ///< of these and earlier ones, by now in the log
  };
  /// nullopt: there is no spool.
  virtual std::optional<Spooled> spooled() const { return std::nullopt; }

  struct StoredFile {
    std::string path;         ///< below the log's directory
    std::uint64_t bytes = 0;  ///< how much of it is the log; sealed files never change
    bool derived = false;     ///< can be made again from the others; may be gone when it is read
  };
  /// What a copy of the log is made of; nothing where it does not lie in files. The inbox is listed
  /// after the events, so that what an event came from is never missing. Blocking.
  virtual Result<std::vector<StoredFile>> stored_files() const { return std::vector<StoredFile>(); }

  /// Drops sealed segments whose records are all older than `older_than` and below `keep_from`.
  virtual Result<void> trim(const LogStream& stream, WallTime older_than,
                            const PartitionOffsets& keep_from) = 0;

  /// Makes everything appended so far durable and stops the writer. No append afterwards.
  virtual void close() = 0;
};

}  // namespace millrace
