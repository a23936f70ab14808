#include "log/side_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "storage/crc32c.hpp"

namespace millrace::log {
namespace {

constexpr std::string_view kMagic = "MILLRSDE";
constexpr std::uint32_t kSideVersion = 1;
constexpr std::size_t kPageBytes = 4096;
constexpr std::size_t kPageHead = 16;  // CRC and nothing else yet
constexpr std::size_t kIndexEntryBytes = 8 + sizeof(PartitionOffsets);
constexpr std::size_t kIndexPerPage = (kPageBytes - kPageHead) / kIndexEntryBytes;
constexpr std::size_t kBlockBytes = 64;
constexpr std::size_t kBlocksPerPage = (kPageBytes - kPageHead) / kBlockBytes;
constexpr std::size_t kIdBytes = 20;
constexpr std::size_t kIdsPerPage = (kPageBytes - kPageHead) / kIdBytes;
constexpr std::size_t kUuidBytes = 36;
constexpr std::size_t kWriteBytes = 1u << 20;
// Twelve bits an id in blocks of 512: about one wrong "perhaps" in 150.
constexpr std::uint64_t kBloomBitsPerId = 12;
constexpr int kBloomProbes = 7;
constexpr int kNeighboursMax = 4;

// Where the fields of the header lie.
constexpr std::size_t kMagicAt = 16;
constexpr std::size_t kVersionAt = 24;
constexpr std::size_t kJournalAt = 28;
constexpr std::size_t kSaltAt = 32;
constexpr std::size_t kBaseAt = 40;
constexpr std::size_t kEndAt = 48;
constexpr std::size_t kLastTimeAt = 56;
constexpr std::size_t kIndexCountAt = 64;
constexpr std::size_t kIdCountAt = 72;
constexpr std::size_t kBlockCountAt = 80;
constexpr std::size_t kUuidAt = 88;

template <typename T>
void put(char* at, const T& value) {
  std::memcpy(at, &value, sizeof value);
}

template <typename T>
T get(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

constexpr std::uint64_t pages_for(std::uint64_t count, std::size_t per_page) {
  return (count + per_page - 1) / per_page;
}

/// Over the page's number and all of it but the CRC: a page in the wrong place does not hold.
std::uint32_t page_crc(std::string_view page, std::uint64_t number) {
  const std::string_view key(reinterpret_cast<const char*>(&number), sizeof number);
  return crc32c(page.substr(4), crc32c(key));
}

std::uint64_t block_of(RecordId id, std::uint64_t blocks) {
  return static_cast<std::uint64_t>(static_cast<unsigned __int128>(id.high) * blocks >> 64);
}

template <typename F>
void for_each_bit(RecordId id, F&& take) {
  for (int i = 0; i < kBloomProbes; ++i) {
    const std::uint64_t bit = id.low >> (9 * i) & 511;
    take(bit / 64, std::uint64_t{1} << (bit % 64));
  }
}

bool may_hold(const std::array<std::uint64_t, 8>& block, RecordId id) {
  bool all = true;
  for_each_bit(
      id, [&](std::uint64_t word, std::uint64_t bit) { all = all && (block[word] & bit) != 0; });
  return all;
}

/// Gathers pages and writes them in large pieces.
class PageWriter {
 public:
  explicit PageWriter(File& file) : file_(file) {}

  template <typename T, typename Put>
  Result<void> write(const std::vector<T>& items, std::size_t per_page, std::size_t bytes,
                     Put&& put_item) {
    for (std::size_t at = 0; at < items.size(); at += per_page) {
      std::string page(kPageBytes, '\0');
      char* to = page.data() + kPageHead;
      for (std::size_t i = at; i < std::min(items.size(), at + per_page); ++i, to += bytes) {
        put_item(to, items[i]);
      }
      MILLRACE_CHECK_OK(add(std::move(page)));
    }
    return {};
  }
  Result<void> add(std::string page) {
    put(page.data(), page_crc(page, number_++));
    waiting_ += page;
    return waiting_.size() < kWriteBytes ? Result<void>() : flush();
  }
  Result<void> flush() {
    MILLRACE_CHECK_OK(file_.write_at(written_, waiting_));
    written_ += waiting_.size();
    waiting_.clear();
    return {};
  }

 private:
  File& file_;
  std::string waiting_;
  std::uint64_t number_ = 0;
  std::uint64_t written_ = 0;
};

std::string encode(const SideHeader& header) {
  MILLRACE_INVARIANT(header.log_uuid.size() == kUuidBytes);
  std::string page(kPageBytes, '\0');
  char* at = page.data();
  std::copy(kMagic.begin(), kMagic.end(), at + kMagicAt);
  put(at + kVersionAt, kSideVersion);
  put(at + kJournalAt, static_cast<std::uint32_t>(header.journal));
  put(at + kSaltAt, header.salt);
  put(at + kBaseAt, header.base_position);
  put(at + kEndAt, header.end_position);
  put(at + kLastTimeAt, header.last_time.time_since_epoch().count());
  put(at + kIndexCountAt, header.index_entries);
  put(at + kIdCountAt, header.ids);
  put(at + kBlockCountAt, header.bloom_blocks);
  std::copy(header.log_uuid.begin(), header.log_uuid.end(), at + kUuidAt);
  return page;
}

/// Sorted, and of equal ids the one seen last.
void settle_order(std::vector<KnownId>& ids) {
  std::ranges::sort(ids);
  const auto last_of_equals = std::unique(
      ids.rbegin(), ids.rend(), [](const auto& a, const auto& b) { return a.id == b.id; });
  ids.erase(ids.begin(), last_of_equals.base());
}

std::vector<std::array<std::uint64_t, 8>> make_bloom(const std::vector<KnownId>& ids) {
  std::vector<std::array<std::uint64_t, 8>> blocks(
      pages_for(ids.size() * kBloomBitsPerId, kBlockBytes * 8));
  for (const KnownId& known : ids) {
    auto& block = blocks[block_of(known.id, blocks.size())];
    for_each_bit(known.id, [&](std::uint64_t word, std::uint64_t bit) { block[word] |= bit; });
  }
  return blocks;
}

}  // namespace

Result<void> write_side_file(Disk& disk, const std::filesystem::path& path, SideContents contents) {
  settle_order(contents.ids);
  const auto bloom = make_bloom(contents.ids);
  contents.header.index_entries = contents.index.size();
  contents.header.ids = contents.ids.size();
  contents.header.bloom_blocks = bloom.size();
  std::filesystem::path temporary = path;
  temporary += ".new";
  auto removed = disk.remove(temporary);
  if (!removed && removed.error().code != Errc::not_found) return removed;
  MILLRACE_TRY(file, disk.open(temporary, OpenMode::create));
  PageWriter writer(*file);
  MILLRACE_CHECK_OK(writer.add(encode(contents.header)));
  MILLRACE_CHECK_OK(writer.write(contents.index, kIndexPerPage, kIndexEntryBytes,
                                 [](char* at, const IndexEntry& entry) {
                                   put(at, entry.position);
                                   put(at + 8, entry.offsets);
                                 }));
  MILLRACE_CHECK_OK(writer.write(bloom, kBlocksPerPage, kBlockBytes,
                                 [](char* at, const auto& block) { put(at, block); }));
  MILLRACE_CHECK_OK(
      writer.write(contents.ids, kIdsPerPage, kIdBytes, [](char* at, const KnownId& known) {
        put(at, known.id.high);
        put(at + 8, known.id.low);
        put(at + 16, known.second);
      }));
  MILLRACE_CHECK_OK(writer.flush());
  MILLRACE_CHECK_OK(file->sync_data());
  MILLRACE_CHECK_OK(disk.rename(temporary, path));
  return disk.sync_directory(path.parent_path());
}

Error SideFile::damaged(std::uint64_t page) const {
  return Error(Errc::corrupt, fmt::format("{}: damaged page at byte {}; it is made again from its "
                                          "segment",
                                          path_.string(), page * kPageBytes));
}

std::uint64_t SideFile::first_bloom_page() const {
  return 1 + pages_for(header_.index_entries, kIndexPerPage);
}
std::uint64_t SideFile::first_id_page() const {
  return first_bloom_page() + pages_for(header_.bloom_blocks, kBlocksPerPage);
}
std::uint64_t SideFile::id_pages() const {
  return pages_for(header_.ids, kIdsPerPage);
}

Result<SideFile::Page> SideFile::page(const File& file, std::uint64_t number) const {
  Page page;
  MILLRACE_TRY(got, file.read_at(number * kPageBytes, page));
  const std::string_view bytes(page.data(), page.size());
  if (got < kPageBytes || get<std::uint32_t>(page.data()) != page_crc(bytes, number)) {
    return std::unexpected(damaged(number));
  }
  return page;
}

Result<std::shared_ptr<SideFile>> SideFile::open(Disk& disk, const std::filesystem::path& path) {
  std::shared_ptr<SideFile> side(new SideFile(disk, path));
  MILLRACE_TRY(file, side->open_file());
  MILLRACE_TRY(page, side->page(*file, 0));
  const char* at = page.data();
  if (std::string_view(at + kMagicAt, kMagic.size()) != kMagic) {
    return std::unexpected(side->damaged(0));
  }
  if (const auto version = get<std::uint32_t>(at + kVersionAt); version != kSideVersion) {
    return fail(Errc::newer_format,
                fmt::format("{} has format version {}; this version of Millrace knows {}",
                            path.string(), version, kSideVersion));
  }
  SideHeader& header = side->header_;
  header.journal = static_cast<Journal>(get<std::uint32_t>(at + kJournalAt));
  header.log_uuid.assign(at + kUuidAt, kUuidBytes);
  header.salt = get<std::uint64_t>(at + kSaltAt);
  header.base_position = get<std::uint64_t>(at + kBaseAt);
  header.end_position = get<std::uint64_t>(at + kEndAt);
  header.last_time = WallTime(microseconds(get<std::int64_t>(at + kLastTimeAt)));
  header.index_entries = get<std::uint64_t>(at + kIndexCountAt);
  header.ids = get<std::uint64_t>(at + kIdCountAt);
  header.bloom_blocks = get<std::uint64_t>(at + kBlockCountAt);
  return side;
}

Result<std::vector<IndexEntry>> SideFile::read_index() const {
  MILLRACE_TRY(file, open_file());
  std::vector<IndexEntry> index(header_.index_entries);
  for (std::size_t i = 0; i < index.size(); i += kIndexPerPage) {
    MILLRACE_TRY(page, this->page(*file, 1 + i / kIndexPerPage));
    const char* at = page.data() + kPageHead;
    for (std::size_t k = i; k < std::min(index.size(), i + kIndexPerPage); ++k) {
      index[k] = {get<std::uint64_t>(at), get<PartitionOffsets>(at + 8)};
      at += kIndexEntryBytes;
    }
  }
  return index;
}

Result<void> SideFile::load_bloom() {
  MILLRACE_TRY(file, open_file());
  std::vector<Block> blocks(header_.bloom_blocks);
  for (std::size_t i = 0; i < blocks.size(); i += kBlocksPerPage) {
    MILLRACE_TRY(page, this->page(*file, first_bloom_page() + i / kBlocksPerPage));
    std::memcpy(blocks.data() + i, page.data() + kPageHead,
                std::min(kBlocksPerPage, blocks.size() - i) * kBlockBytes);
  }
  bloom_ = std::move(blocks);
  return {};
}

SideFilePtr SideFile::without_bloom() const {
  std::shared_ptr<SideFile> other(new SideFile(*disk_, path_));
  other->header_ = header_;
  return other;
}

std::size_t SideFile::bloom_bytes() const {
  return static_cast<std::size_t>(header_.bloom_blocks) * kBlockBytes;
}

Result<SideFile::Block> SideFile::bloom_block(const File& file, std::uint64_t number) const {
  if (bloom_is_loaded()) return bloom_[number];
  MILLRACE_TRY(page, this->page(file, first_bloom_page() + number / kBlocksPerPage));
  return get<Block>(page.data() + kPageHead + number % kBlocksPerPage * kBlockBytes);
}

Result<std::vector<KnownId>> SideFile::ids_on(const File& file, std::uint64_t page_of_ids) const {
  MILLRACE_TRY(page, this->page(file, first_id_page() + page_of_ids));
  std::vector<KnownId> ids(
      std::min<std::uint64_t>(kIdsPerPage, header_.ids - page_of_ids * kIdsPerPage));
  const char* at = page.data() + kPageHead;
  for (KnownId& known : ids) {
    known = {{get<std::uint64_t>(at), get<std::uint64_t>(at + 8)}, get<std::uint32_t>(at + 16)};
    at += kIdBytes;
  }
  return ids;
}

/// Ids are spread evenly, so where one lies can be guessed to a page or two.
Result<std::optional<KnownId>> SideFile::find(const File& file, RecordId id) const {
  std::uint64_t low = 0;
  std::uint64_t high = id_pages();
  std::uint64_t at = block_of(id, high);
  for (int step = 0; low < high; ++step) {
    MILLRACE_TRY(ids, ids_on(file, at));
    if (id < ids.front().id) {
      high = at;
    } else if (id > ids.back().id) {
      low = at + 1;
    } else {
      const auto found = std::ranges::lower_bound(ids, id, {}, &KnownId::id);
      return found->id == id ? std::optional(*found) : std::nullopt;
    }
    const bool below = high == at;
    at = step >= kNeighboursMax ? low + (high - low) / 2 : (below ? at - 1 : at + 1);
  }
  return std::optional<KnownId>();
}

Result<bool> SideFile::holds(RecordId id, WallTime since) const {
  if (header_.ids == 0) return false;
  const std::uint64_t at = block_of(id, header_.bloom_blocks);
  if (bloom_is_loaded() && !may_hold(bloom_[at], id)) return false;
  MILLRACE_TRY(file, open_file());
  MILLRACE_TRY(block, bloom_block(*file, at));
  if (!may_hold(block, id)) return false;
  MILLRACE_TRY(known, find(*file, id));
  return known && WallTime(std::chrono::seconds(known->second)) >= since;
}

Result<void> SideFile::verify() const {
  MILLRACE_CHECK_OK(read_index());
  MILLRACE_TRY(file, open_file());
  std::optional<RecordId> before;
  for (std::uint64_t at = 0; at < id_pages(); ++at) {
    MILLRACE_TRY(ids, ids_on(*file, at));
    for (const KnownId& known : ids) {
      MILLRACE_TRY(block, bloom_block(*file, block_of(known.id, header_.bloom_blocks)));
      if ((before && !(*before < known.id)) || !may_hold(block, known.id)) {
        return std::unexpected(damaged(first_id_page() + at));
      }
      before = known.id;
    }
  }
  return {};
}

}  // namespace millrace::log
