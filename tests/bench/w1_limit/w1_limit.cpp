// The limit of W1: what one thread of bare Beast does when the work is done by hand and everything
// a broker adds is left out. Takes an order, parses it, makes the canonical event, waits for a
// group-commit fdatasync of the raw body, answers 202 and posts the event from memory. No recovery,
// no dedupe, no order, no schema.
//   w1_limit PORT SINK_PORT DATA_DIRECTORY
#include <fcntl.h>
#include <unistd.h>

#include <boost/asio.hpp>
#include <boost/beast.hpp>
#include <boost/json.hpp>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <string>
#include <thread>

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
namespace json = boost::json;
using tcp = asio::ip::tcp;
using boost::system::error_code;

constexpr int kSenders = 32;
constexpr std::chrono::milliseconds kRetryAfter{100};

std::string canonical_event(const json::object& order) {
  const json::string& state = order.at("state").as_string();
  const json::string& model = order.at("_model").as_string();
  std::string written(order.at("write_date").as_string());
  json::array lines;
  for (const json::value& line : order.at("order_line").as_array()) {
    lines.push_back({{"line_id", line}, {"order_id", order.at("id")}});
  }
  const std::string id = std::string(model) + ':' +
                         std::to_string(order.at("id").to_number<std::int64_t>()) + ':' + written;
  written.at(10) = 'T';
  written += 'Z';
  const char* type = state == "sale" || state == "done" ? "order.confirmed"
                     : state == "cancel"                ? "order.cancelled"
                                                        : "order.updated";
  return json::serialize(json::value{{"schema", "order.v1"},
                                     {"event_id", id},
                                     {"event_type", type},
                                     {"source", "odoo"},
                                     {"source_model", model},
                                     {"action", order.at("_action")},
                                     {"order_id", order.at("id")},
                                     {"order_number", order.at("name")},
                                     {"status", state},
                                     {"customer_id", order.at("partner_id")},
                                     {"total", order.at("amount_total")},
                                     {"currency_id", order.at("currency_id")},
                                     {"occurred_at", written},
                                     {"lines", lines}});
}

/// Everything appended while one fdatasync runs is written and synced by the next one.
class GroupCommit {
 public:
  using Done = std::function<void()>;

  GroupCommit(const std::string& directory, asio::io_context& io)
      : file_(open((directory + "/orders.log").c_str(), O_CREAT | O_WRONLY | O_APPEND, 0644)),
        io_(io) {
    if (file_ < 0) throw std::runtime_error("cannot write to " + directory);
    std::thread([this] { run(); }).detach();  // until the process is killed
  }

  void append(const std::string& record, Done done) {
    const std::lock_guard lock(mutex_);
    records_ += record;
    waiting_.push_back(std::move(done));
    wake_.notify_one();
  }

 private:
  [[noreturn]] void run() {
    std::string records;
    std::vector<Done> waiting;
    while (true) {
      {
        std::unique_lock lock(mutex_);
        wake_.wait(lock, [this] { return !waiting_.empty(); });
        records.swap(records_);
        waiting.swap(waiting_);
      }
      const auto written = write(file_, records.data(), records.size());
      if (written != static_cast<ssize_t>(records.size()) || fdatasync(file_) != 0) std::abort();
      asio::post(io_, [done = std::move(waiting)] {
        for (const Done& each : done) each();
      });
      records.clear();
      waiting = {};
    }
  }

  int file_;
  asio::io_context& io_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::string records_;
  std::vector<Done> waiting_;
};

/// One keep-alive connection to the target; repeats a request until it is accepted.
class Sender {
 public:
  Sender(asio::io_context& io, std::deque<std::string>& queue, std::uint16_t port)
      : socket_(io), timer_(io), queue_(queue), target_(asio::ip::address_v4::loopback(), port) {}

  /// Whether it was idle and took an event.
  bool kick() {
    if (busy_ || queue_.empty()) return false;
    busy_ = true;
    request_ = {http::verb::post, "/orders", 11};
    request_.set(http::field::host, "127.0.0.1");
    request_.set(http::field::content_type, "application/json");
    request_.body() = std::move(queue_.front());
    queue_.pop_front();
    request_.prepare_payload();
    connected_ ? send() : connect();
    return true;
  }

 private:
  void connect() {
    socket_.async_connect(target_, [this](error_code error) {
      if (error) return retry();
      socket_.set_option(tcp::no_delay(true));
      connected_ = true;
      buffer_.clear();
      send();
    });
  }
  void send() {
    http::async_write(socket_, request_, [this](error_code error, std::size_t) {
      if (error) return retry();
      answer_ = {};
      http::async_read(socket_, buffer_, answer_, [this](error_code failed, std::size_t) {
        if (failed || answer_.result_int() >= 300) return retry();
        busy_ = false;
        kick();
      });
    });
  }
  void retry() {
    error_code ignored;
    socket_.close(ignored);
    connected_ = false;
    timer_.expires_after(kRetryAfter);
    timer_.async_wait([this](error_code) { connect(); });
  }

  tcp::socket socket_;
  asio::steady_timer timer_;
  std::deque<std::string>& queue_;
  tcp::endpoint target_;
  beast::flat_buffer buffer_;
  http::request<http::string_body> request_;
  http::response<http::string_body> answer_;
  bool busy_ = false;
  bool connected_ = false;
};

class Outbound {
 public:
  Outbound(asio::io_context& io, std::uint16_t port) {
    for (int i = 0; i < kSenders; ++i) senders_.emplace_back(io, queue_, port);
  }
  void push(std::string event) {
    queue_.push_back(std::move(event));
    for (Sender& sender : senders_) {
      if (sender.kick()) break;
    }
  }

 private:
  std::deque<std::string> queue_;
  std::deque<Sender> senders_;
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(tcp::socket socket, GroupCommit& log, Outbound& outbound)
      : socket_(std::move(socket)), log_(log), outbound_(outbound) {}

  void read() {
    request_ = {};
    http::async_read(socket_, buffer_, request_,
                     [self = shared_from_this()](error_code error, std::size_t) {
                       if (!error) self->take();
                     });
  }

 private:
  void take() {
    error_code error;
    const json::value order = json::parse(request_.body(), error);
    if (error) return answer(http::status::bad_request);
    log_.append(request_.body(),
                [self = shared_from_this(), event = canonical_event(order.as_object())]() mutable {
                  self->outbound_.push(std::move(event));
                  self->answer(http::status::accepted);
                });
  }
  void answer(http::status status) {
    answer_ = {status, 11};
    answer_.prepare_payload();
    http::async_write(socket_, answer_, [self = shared_from_this()](error_code error, std::size_t) {
      if (!error) self->read();
    });
  }

  tcp::socket socket_;
  GroupCommit& log_;
  Outbound& outbound_;
  beast::flat_buffer buffer_;
  http::request<http::string_body> request_;
  http::response<http::string_body> answer_;
};

void accept(tcp::acceptor& acceptor, GroupCommit& log, Outbound& outbound) {
  acceptor.async_accept([&](error_code error, tcp::socket socket) {
    if (!error) {
      socket.set_option(tcp::no_delay(true));
      std::make_shared<Session>(std::move(socket), log, outbound)->read();
    }
    accept(acceptor, log, outbound);
  });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fputs("usage: w1_limit PORT SINK_PORT DATA_DIRECTORY\n", stderr);
    return 2;
  }
  try {
    asio::io_context io(1);
    GroupCommit log(argv[3], io);
    Outbound outbound(io, static_cast<std::uint16_t>(std::atoi(argv[2])));
    tcp::acceptor acceptor(
        io, {asio::ip::address_v4::loopback(), static_cast<std::uint16_t>(std::atoi(argv[1]))});
    accept(acceptor, log, outbound);
    io.run();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "w1_limit: %s\n", error.what());
    return 1;
  }
  return 0;
}
