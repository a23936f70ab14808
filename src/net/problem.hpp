// Answers that say what is wrong, as application/problem+json (RFC 9457, type about:blank). Titles
// and details are for the sender: they hold nothing of the inside.
#pragma once

#include <string_view>

#include "millrace/http.hpp"

namespace millrace {

/// An empty `title` becomes the status's usual words; an empty `detail` is left out.
HttpResponse problem(int status, std::string_view title, std::string_view detail);

}  // namespace millrace
