// A request's templates and body, made into the bytes that go over the wire.
#pragma once

#include "config/host.hpp"
#include "millrace/http.hpp"
#include "route/selection.hpp"

namespace millrace::route {

/// Renders the request without authentication. `$now` is the event's append time, so that rendering
/// again gives the same bytes. Errors: Errc::needs_lookup (fetch host.wanted(), then again),
/// missing_reference, invalid_argument for a null or empty `${ }` in a path (never sent),
/// expression_failed, budget_exceeded.
Result<HttpRequest> render(const config::RouteRequest& request, const config::ConfigHost& host,
                           const DecodedEvent& event, WallTime appended_at);

/// What `exclusive` says of an event: what it must not be in flight together with, as text; empty:
/// nothing. Errors as of render().
Result<std::string> exclusive(const config::Program& program, const config::ConfigHost& host,
                              const DecodedEvent& event, WallTime appended_at);

/// What `treat` says of an answer: the first rule that is true, or nothing.
Result<std::optional<std::string>> treat(const config::Treat& rules, const config::ConfigHost& host,
                                         const DecodedEvent& event, const HttpResponse& answer,
                                         WallTime appended_at);

/// What a probe's `applied` says of its answer.
Result<bool> applied(const config::Program& program, const config::ConfigHost& host,
                     const DecodedEvent& event, const HttpResponse& answer, WallTime appended_at);

/// What `remember` says: the external id as text. Null, no identifier or a failure is nullopt.
std::optional<std::string> remember(const config::Program& program, const config::ConfigHost& host,
                                    const DecodedEvent& event, const HttpResponse& answer,
                                    WallTime appended_at);

}  // namespace millrace::route
