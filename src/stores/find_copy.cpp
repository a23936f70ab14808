#include "stores/find_copy.hpp"

#include <fmt/format.h>

#include <filesystem>

#include "log/kafka_identity.hpp"
#include "log/manifest.hpp"
#include "stores/kafka_settings.hpp"
#include "stores/site.hpp"

namespace millrace::stores {
namespace {

constexpr std::size_t kMarkBytesMax = std::size_t{16} << 20;

Result<Json> find_on_files(Disk& disk, const std::filesystem::path& directory) {
  // An incomplete one is refused here.
  const auto manifest = log::read_manifest(disk, directory);
  if (!manifest) return std::unexpected(manifest.error());
  const auto text = read_file(disk, directory / log::kCopiedFile, kMarkBytesMax);
  if (!text && text.error().code == Errc::not_found) return Json();
  if (!text) return std::unexpected(text.error());
  return parse_json(*text);
}

Result<Json> find_on_kafka(const config::Installation& at) {
  const KafkaSettings settings = kafka_settings(at);
  const std::string topic = at.kafka_log->prefix + ".log";
  MILLRACE_TRY(admin, KafkaAdmin::open(settings));
  MILLRACE_TRY(there, admin->topic(topic));
  if (!there) return Json();
  log::KafkaReaderPool readers(settings);
  MILLRACE_TRY(said, (log::KafkaIdentity{*admin, readers, topic}.records()));
  Json last;
  for (Json& record : said) {
    if (!string_or(record, "copy", "").empty()) last = std::move(record);
  }
  return last;
}

}  // namespace

Result<CopyMark> find_copy(Disk& disk, const config::Installation& at) {
  MILLRACE_TRY(json, at.kafka_log ? find_on_kafka(at) : find_on_files(disk, at.log_directory));
  MILLRACE_TRY(mark, decode_copy_mark(json));
  if (mark.stage.empty()) {
    return fail(Errc::not_found,
                fmt::format("there is no copy of a log in {}: say `millrace log copy` first",
                            log_place(at)));
  }
  if (mark.stage == log::kCopyComplete) return mark;
  return fail(Errc::conflict, fmt::format("the copy of the log in {} is not complete: say "
                                          "`millrace log copy` once more",
                                          log_place(at)));
}

}  // namespace millrace::stores
