// The Asio side of a TlsContext. Included by tls.cpp and stream.cpp only: it is slow to compile.
#pragma once

#include <boost/asio/ssl/context.hpp>

#include "net/tls.hpp"

namespace millrace {

class TlsContext {
 public:
  TlsContext() : context(boost::asio::ssl::context::tls) {}
  boost::asio::ssl::context context;
};

}  // namespace millrace
