// What `top -H` and a debugger call a thread.
#pragma once

#include <pthread.h>

#include <string>
#include <string_view>

namespace millrace {

/// The system shows its first 15 characters.
inline void name_this_thread(std::string_view name) {
  pthread_setname_np(pthread_self(), std::string(name.substr(0, 15)).c_str());
}

}  // namespace millrace
