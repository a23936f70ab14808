// What commands show: one function per answer of the admin API, JSON in, text for a person out.
#pragma once

#include <iosfwd>

#include "millrace/clock.hpp"
#include "millrace/json.hpp"

namespace millrace::cli {

/// Shows an answer; returns the exit code: 0, or 1 when it holds findings.
using Printer = int (*)(std::ostream& out, const Json& answer, WallTime now);

/// First what is wrong, since when, whose it is and what to type next; then the rest.
int print_status(std::ostream& out, const Json& answer, WallTime now);
int print_where(std::ostream& out, const Json& answer, WallTime now);
int print_dead_list(std::ostream& out, const Json& answer, WallTime now);
int print_dead_letter(std::ostream& out, const Json& answer, WallTime now);
int print_parked_list(std::ostream& out, const Json& answer, WallTime now);
int print_routes(std::ostream& out, const Json& answer, WallTime now);
int print_connections(std::ostream& out, const Json& answer, WallTime now);
int print_check(std::ostream& out, const Json& answer, WallTime now);
/// 1 when nothing was applied because of errors.
int print_reload(std::ostream& out, const Json& answer, WallTime now);
int print_plan(std::ostream& out, const Json& answer, WallTime now);
int print_backfills(std::ostream& out, const Json& answer, WallTime now);
int print_keys(std::ostream& out, const Json& answer, WallTime now);
int print_new_key(std::ostream& out, const Json& answer, WallTime now);
/// Rows grouped by cause.
int print_causes(std::ostream& out, const Json& answer, WallTime now);
/// What a move of a route did, or would do.
int print_replay(std::ostream& out, const Json& answer, WallTime now);
int print_move(std::ostream& out, const Json& answer, WallTime now);
/// "done" and the members of a small answer.
int print_done(std::ostream& out, const Json& answer, WallTime now);

/// The rows of a listing: the answer itself, or its first member that is an array.
const JsonArray& rows_of(const Json& answer);

}  // namespace millrace::cli
