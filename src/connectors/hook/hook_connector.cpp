// The hook connector: a source whose webhooks are the record. Tokens, signatures, `record:` and
// `version:` are keys of every connection and are read by ingress; nothing is left for options.
#include "millrace/connector.hpp"

namespace millrace {
namespace {

struct HookOptions {};

class HookType final : public ConnectorType {
 public:
  std::string_view name() const override { return "hook"; }

  const AnySpec& spec() const override {
    static const Spec<HookOptions> spec("hook", "Webhooks whose payload is the record.");
    return spec;
  }

  Result<std::unique_ptr<Sink>> make_sink(const std::any&, ConnectionContext) const override {
    return fail(Errc::not_supported,
                "a hook connection only receives; send to a connection of type http instead");
  }

  Result<std::unique_ptr<RecordReader>> make_reader(const std::any&,
                                                    ConnectionContext) const override {
    return fail(Errc::not_supported, "a hook's payload is the record; there is nothing to read");
  }
};

}  // namespace

void register_hook(ConnectorRegistry& registry);
void register_hook(ConnectorRegistry& registry) {
  registry.add(std::make_unique<HookType>());
}

}  // namespace millrace
