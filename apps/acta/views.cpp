#include "views.hpp"

#include "output.hpp"

#include <acta/projections/stored_views.hpp>
#include <acta/storage/event_log.hpp>
#include <acta/storage/view_directory.hpp>

#include <fmt/format.h>

#include <utility>

namespace acta::tool {

using nlohmann::ordered_json;

namespace {

[[nodiscard]] const char* state_of(const storage::stored_view& one) {
  return one.serves ? "serves" : one.is_replaced ? "replaced" : "";
}

} // namespace

result<void> add_views(const std::filesystem::path& store, ordered_json& json, std::string& text) {
  auto views = storage::stored_views(store);
  if (!views)
    return failure(views);
  json["views"] = ordered_json::array();
  if (!views->empty())
    text += "\nviews\n";
  for (const auto& one : *views) {
    const auto directory = storage::view_directory(store, one.which);
    const auto where = projections::name(projections::where_kept(directory));
    const auto found = projections::summary_of(directory);
    ordered_json entry{{"name", one.which.name},        {"version", one.which.version},
                       {"part", one.which.part},        {"parts", one.which.parts},
                       {"kept_in", std::string(where)}, {"size", one.size},
                       {"serves", one.serves},          {"replaced", one.is_replaced}};
    if (found) {
      entry["position"] = found->position.value();
      entry["dead_letters"] = found->dead_letters;
      text += fmt::format("  {}  {}, {}, position {}, {} dead letters{}{}\n", one.which.label(),
                          where, size_text(one.size), found->position.value(), found->dead_letters,
                          *state_of(one) == '\0' ? "" : ", ", state_of(one));
    } else {
      entry["error"] = std::string(found.error().message());
      text += fmt::format("  {}  {}, {}: {}\n", one.which.label(), where, size_text(one.size),
                          printable(found.error().message()));
    }
    json["views"].push_back(std::move(entry));
  }
  return {};
}

result<std::size_t> verify_views(const std::filesystem::path& store, std::size_t max_findings,
                                 storage::verification& to) {
  auto views = storage::stored_views(store);
  if (!views)
    return failure(views);
  if (views->empty())
    return 0;
  const auto log = storage::open_log_for_reading(store);
  if (!log)
    return 0;
  for (const auto& one : *views) {
    auto found = projections::verify_view(**log, store, one.which, max_findings);
    if (!found)
      return failure(found);
    to.pages += found->pages;
    to.problems += found->problems;
    for (auto& each : found->findings)
      if (to.findings.size() < max_findings)
        to.findings.push_back(std::move(each));
  }
  return views->size();
}

} // namespace acta::tool
