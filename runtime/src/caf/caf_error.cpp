#include "caf_error.hpp"

#include <acta/base/ensure.hpp>
#include <acta/base/error.hpp>
#include <acta/runtime/caf.hpp>

#include <caf/atom.hpp>
#include <caf/make_message.hpp>

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <utility>

namespace acta::runtime {

namespace {

constexpr auto category = caf::atom("acta");

[[nodiscard]] std::string text_of(std::uint8_t code, caf::atom_value, const caf::message& context) {
  const auto why = name(static_cast<errc>(code));
  if (!context.match_elements<std::uint16_t, std::string>())
    return std::string(why);
  const auto rejection = context.get_as<std::uint16_t>(0);
  const auto& message = context.get_as<std::string>(1);
  return rejection == 0 ? fmt::format("{}: {}", why, message)
                        : fmt::format("{} ({}): {}", why, rejection, message);
}

} // namespace

caf::error to_caf_error(const error& why) {
  ensure(std::to_underlying(why.code()) <= 255, "a code of CAF has eight bits");
  return {static_cast<std::uint8_t>(why.code()), category,
          caf::make_message(why.rejection(), why.message())};
}

std::optional<error> error_of(const caf::error& why) {
  if (!why || why.category() != category)
    return std::nullopt;
  const auto& context = why.context();
  if (!context.match_elements<std::uint16_t, std::string>())
    return error(static_cast<errc>(why.code()), "");
  const auto rejection = context.get_as<std::uint16_t>(0);
  const auto& message = context.get_as<std::string>(1);
  if (rejection != 0)
    return error(rejection, message);
  return error(static_cast<errc>(why.code()), message);
}

void render_errors_in(caf::actor_system_config& config) {
  config.add_error_category(category, text_of);
}

} // namespace acta::runtime
