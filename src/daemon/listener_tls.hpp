// The certificate of both listeners: loaded at the start and anew at every reload. New connections
// use the new one, open ones keep theirs; one that cannot be used changes nothing.
#pragma once

#include "config/model.hpp"
#include "millrace/result.hpp"
#include "net/tls.hpp"

namespace millrace::daemon {

/// nullptr without `tls:`. Errc::tls names the file and what is wrong. Reads the disk.
Result<TlsContextPtr> load_listener_tls(const config::Installation& installation);

/// Puts the certificate beside admin.token, where the command line finds what to expect of the
/// admin plane; removes it without `tls:`.
Result<void> publish_certificate(const config::Installation& installation);

}  // namespace millrace::daemon
