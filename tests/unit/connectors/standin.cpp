#include "standin.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <future>

#include "net/http_client.hpp"

namespace millrace::test {
namespace {

constexpr milliseconds kControlTimeout{60'000};

std::string read_line(int from) {
  std::string line;
  char byte = 0;
  while (::read(from, &byte, 1) == 1 && byte != '\n') line.push_back(byte);
  return line;
}

Awaitable<void> fulfil(Awaitable<void> task, std::promise<void>* done) {
  co_await std::move(task);
  done->set_value();
}

}  // namespace

Standin::Standin(const std::string& script) {
  std::array<int, 2> to_child{};
  std::array<int, 2> from_child{};
  MILLRACE_INVARIANT(pipe(to_child.data()) == 0 && pipe(from_child.data()) == 0);
  process_ = fork();
  MILLRACE_INVARIANT(process_ >= 0);
  if (process_ == 0) {
    dup2(to_child[0], STDIN_FILENO);
    dup2(from_child[1], STDOUT_FILENO);
    for (const int end : {to_child[0], to_child[1], from_child[0], from_child[1]}) close(end);
    const std::string path = std::string(MILLRACE_SOURCE_DIR) + "/tests/standin/" + script;
    execlp("python3", "python3", "-B", path.c_str(), nullptr);
    _exit(127);
  }
  close(to_child[0]);
  close(from_child[1]);
  input_ = to_child[1];
  const auto about = parse_json(read_line(from_child[0]));
  close(from_child[0]);
  MILLRACE_INVARIANT(about.has_value());
  port_ = static_cast<std::uint16_t>(int_or(*about, "port", 0));
  control_port_ = static_cast<std::uint16_t>(int_or(*about, "control_port", 0));

  const Url own = parse_url(url()).value();
  const Url control = parse_url(fmt::format("http://127.0.0.1:{}", control_port_)).value();
  gate_ = std::make_unique<EgressGate>(std::vector<Url>{own, control});
  HttpClientOptions options;
  options.url = control;
  control_ = make_http_client(shard_, options, *gate_).value();
  shard_.start();
}

Standin::~Standin() {
  shard_.stop(seconds(5));
  control_.reset();
  close(input_);  // its standard input closes, so it ends
  waitpid(process_, nullptr, 0);
}

void Standin::wait(Awaitable<void> task) {
  std::promise<void> done;
  auto ended = done.get_future();
  shard_.spawn("test", fulfil(std::move(task), &done));
  ended.get();
}

Json Standin::control(std::string_view command, std::string_view members) {
  HttpRequest request;
  request.method = "POST";
  request.target = "/control";
  request.body = fmt::format(R"({{"cmd":"{}"{}{}}})", command, members.empty() ? "" : ",", members);
  auto answer = on_shard(control_->send(request, kControlTimeout));
  if (!answer) abort_with(answer.error().message);
  Json result = parse_json(answer->body).value();
  if (!bool_or(result, "ok", false)) abort_with(answer->body);
  return result;
}

ConnectionContext Standin::context(std::vector<std::pair<std::int64_t, std::string>> companies) {
  ConnectionContext context;
  context.name = "peer";
  context.url = url();
  context.companies = std::move(companies);
  context.http = [this](HttpClientSettings settings) {
    HttpClientOptions options;
    options.url = settings.url;
    options.connections_max = settings.connections_max;
    options.answer_bytes_max = settings.answer_bytes_max;
    return make_http_client(shard_, options, *gate_);
  };
  return context;
}

}  // namespace millrace::test
