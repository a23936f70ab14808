// The last word on one record under one entity: what was last emitted or baselined (semantics 1).
#pragma once

#include <string>
#include <string_view>

#include "millrace/ids.hpp"
#include "millrace/json.hpp"
#include "millrace/result.hpp"

namespace millrace::canon {

struct Projection {
  std::string data;     ///< as JSON text, exactly as emitted
  std::string name;     ///< the entity's `key`, as text; may be empty
  std::string version;  ///< the source's version as JSON text; "null" when it has none
  std::string program;  ///< hash of the program that made it
  std::uint64_t rev = 0;
  Partition cause_partition = 0;
  Offset cause_offset = 0;  ///< inbox offset of the message behind it
  bool has_cause = false;
  bool deleted = false;  ///< emitted `deleted`; the next sight is a first one
};

std::string encode(const Projection& projection);
Result<Projection> decode_projection(std::string_view text);
/// Whether `stored` is this value: 3.0 equals 3, and the order of members does not count.
bool same_data(const Json& data, std::string_view stored);
/// All but `data` and `name`: whole models are gone through for them.
Result<Projection> decode_projection_header(std::string_view text);

}  // namespace millrace::canon
