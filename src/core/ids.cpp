#include "millrace/ids.hpp"

#include <openssl/evp.h>
#include <sys/random.h>

#include <array>
#include <cstring>
#include <memory>
#include <vector>

#include "millrace/result.hpp"

namespace millrace {
namespace {

void fill_random(unsigned char* out, std::size_t size) {
  while (size > 0) {
    const ssize_t got = getrandom(out, size, 0);
    if (got < 0) abort_with("the kernel gives no random bytes");
    out += got;
    size -= static_cast<std::size_t>(got);
  }
}

std::string hex(const unsigned char* bytes, std::size_t size) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(size * 2);
  for (std::size_t i = 0; i < size; ++i) {
    text.push_back(kDigits[bytes[i] >> 4]);
    text.push_back(kDigits[bytes[i] & 15]);
  }
  return text;
}

// One digest context a thread, and one algorithm looked up: each costs more than hashing an id.
class Sha256 {
 public:
  Sha256()
      : context_(EVP_MD_CTX_new(), &EVP_MD_CTX_free),
        algorithm_(EVP_MD_fetch(nullptr, "SHA256", nullptr), &EVP_MD_free) {
    MILLRACE_INVARIANT(context_ != nullptr && algorithm_ != nullptr);
  }
  void start() { EVP_DigestInit_ex(context_.get(), algorithm_.get(), nullptr); }
  void add(std::string_view bytes) { EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()); }
  std::string finish(std::size_t bytes) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    EVP_DigestFinal_ex(context_.get(), digest, nullptr);
    return hex(digest, bytes);
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
  std::unique_ptr<EVP_MD, decltype(&EVP_MD_free)> algorithm_;
};

Sha256& thread_sha256() {
  thread_local Sha256 hasher;
  return hasher;
}

}  // namespace

std::uint32_t murmur2(std::string_view bytes) {
  constexpr std::uint32_t kMultiplier = 0x5bd1e995;
  constexpr std::uint32_t kSeed = 0x9747b28c;
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  const auto size = static_cast<std::uint32_t>(bytes.size());
  std::uint32_t hash = kSeed ^ size;
  const std::uint32_t words = size / 4;
  for (std::uint32_t i = 0; i < words; ++i) {
    std::uint32_t word = 0;
    std::memcpy(&word, data + i * 4, 4);
    word *= kMultiplier;
    word ^= word >> 24;
    word *= kMultiplier;
    hash *= kMultiplier;
    hash ^= word;
  }
  const unsigned char* tail = data + words * 4;
  switch (size % 4) {
    case 3:
      hash ^= static_cast<std::uint32_t>(tail[2]) << 16;
      [[fallthrough]];
    case 2:
      hash ^= static_cast<std::uint32_t>(tail[1]) << 8;
      [[fallthrough]];
    case 1:
      hash ^= tail[0];
      hash *= kMultiplier;
      break;
    default:
      break;
  }
  hash ^= hash >> 13;
  hash *= kMultiplier;
  hash ^= hash >> 15;
  return hash;
}

Partition partition_of(std::string_view record) {
  return static_cast<Partition>((murmur2(record) & 0x7fffffff) % kPartitionCount);
}

std::uint64_t hash64(std::string_view bytes) {
  // Two murmur passes with different seeds would do; FNV-1a with a finaliser is simpler and enough.
  std::uint64_t hash = 0xcbf29ce484222325;
  for (const char c : bytes) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001b3;
  }
  hash ^= hash >> 33;
  hash *= 0xff51afd7ed558ccd;
  hash ^= hash >> 33;
  hash *= 0xc4ceb9fe1a85ec53;
  return hash ^ hash >> 33;
}

std::string stable_hash(std::initializer_list<std::string_view> parts) {
  thread_local std::string text;
  text.clear();
  for (const std::string_view part : parts) {
    const std::uint64_t size = part.size();
    std::array<char, 8> little_endian;
    for (std::size_t i = 0; i < 8; ++i)
      little_endian[i] = static_cast<char>(size >> (8 * i) & 0xFF);
    text.append(little_endian.data(), little_endian.size()).append(part);
  }
  Sha256& hasher = thread_sha256();
  hasher.start();
  hasher.add(text);
  return hasher.finish(16);
}

std::string sha256_hex(std::string_view bytes) {
  Sha256& hasher = thread_sha256();
  hasher.start();
  hasher.add(bytes);
  return hasher.finish(32);
}

std::string random_uuid() {
  unsigned char bytes[16];
  fill_random(bytes, sizeof bytes);
  bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0F) | 0x40);
  bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3F) | 0x80);
  std::string text = hex(bytes, sizeof bytes);
  for (const std::size_t at : {20u, 16u, 12u, 8u}) text.insert(at, 1, '-');
  return text;
}

std::string random_hex(std::size_t bytes) {
  std::vector<unsigned char> buffer(bytes);
  fill_random(buffer.data(), buffer.size());
  return hex(buffer.data(), buffer.size());
}

bool equal_constant_time(std::string_view left, std::string_view right) {
  if (left.size() != right.size()) return false;
  unsigned difference = 0;
  for (std::size_t i = 0; i < left.size(); ++i) {
    difference |= static_cast<unsigned>(static_cast<unsigned char>(left[i]) ^
                                        static_cast<unsigned char>(right[i]));
  }
  return difference == 0;
}

}  // namespace millrace
