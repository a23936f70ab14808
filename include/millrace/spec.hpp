// Spec<T>: the one declaration of T's options. From it come strict parsing with file:line:column, the
// nearest known name, JSON Schema for editors, reference docs and redacted values; defaults are the
// struct's own initialisers.
#pragma once

namespace millrace {

class AnySpec;

}  // namespace millrace
