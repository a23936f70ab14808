// The reference order of W1: what is posted for a sequence number and what must arrive for it.
// Both follow from the number alone, so the sink needs no memory of what was sent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace w1 {

/// The webhook body whose `id` is the sequence number.
std::string order_body(std::uint32_t sequence);

/// The sequence number in a canonical event; nullopt when the body names none.
std::optional<std::uint32_t> sequence_of(std::string_view event_body);

/// Whether the body is exactly the canonical event of that order, each of its 14 members compared.
bool is_canonical_event(std::string_view event_body, std::uint32_t sequence);

}  // namespace w1
