// The Asio side of a TlsContext. Included by tls.cpp and stream.cpp only: it is slow to compile.
#pragma once

#include <openssl/x509.h>

#include <boost/asio/ssl/context.hpp>
#include <memory>

#include "net/tls.hpp"

namespace millrace {

class TlsContext {
 public:
  struct FreeCertificate {
    void operator()(X509* certificate) const { X509_free(certificate); }
  };

  TlsContext() : context(boost::asio::ssl::context::tls) {}
  std::unique_ptr<X509, FreeCertificate> pinned;  ///< outlives the context that compares with it
  boost::asio::ssl::context context;
};

}  // namespace millrace
