#include <exception>
#include <iostream>

#include "cli/command_line.hpp"

int main(int argc, char** argv) {
  try {
    return millrace::cli::run_command_line({argv + 1, argv + argc}, std::cin, std::cout, std::cerr,
                                           millrace::system_clock().wall_now());
  } catch (const std::exception& error) {
    std::cerr << "millrace: " << error.what() << '\n';
    return 2;
  }
}
