// DuckDB parses the SQL and hands out its own syntax tree as JSON; nothing here parses SQL, so there are no two
// readings of one text. The tree is then walked with a table of all forms and members that are known, each saying what
// is inside it. What the table does not know is refused, unless it is empty: a new version of DuckDB can bring new
// syntax, but not past this file.
#include "duck/sql_guard.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "base/nearest.h"
#include "base/try.h"
#include "duck/functions.h"

namespace larder::duck {
namespace {

using Json = nlohmann::json;

// Deeper trees take DuckDB's planner, which cannot be interrupted, seconds and more; see docs/design/sql-guard.md.
constexpr int kDepthMax = 150;
constexpr double kWeightFree = 10'000;  // expanded, a statement may be so large,
constexpr double kWeightFactor = 8;     // or so many times as large as it is written
constexpr double kGrowthMax = 1'000'000;
constexpr std::size_t kGroupingSetsMax = 256;

// What is inside a member.
enum class Is {
  kWord,       // a name, a number, a flag; or an array of such, at any depth
  kData,       // a value or a type: any JSON without expressions
  kSample,     // null, or how to sample
  kEmpty,      // must be null, false or empty
  kExpr,       // an expression, or null
  kExprs,      // an array of them
  kExprRows,   // an array of arrays of them
  kCases,      // WHEN and THEN
  kPairs,      // {key, value: expression}
  kOrders,     // {type, null_order, expression}
  kOrdering,   // {type, orders}
  kNode,       // a query node, or null
  kStatement,  // {node, named_param_map}
  kTable,      // what stands in FROM
  kModifiers,  // ORDER BY, LIMIT, DISTINCT
  kPivots,
  kEntries,    // of a pivot
  kSets,       // grouping sets
  kTableCall,  // a function in FROM
  kHere,       // walked by hand, where the form is
};

struct Member {
  std::string_view name;
  Is is;
};

struct Form {
  std::string_view name;
  std::array<Member, 18> members;
};

// Members that all expressions, all tables and all query nodes have.
constexpr Member kOfExpr[] = {
    {"class", Is::kWord}, {"type", Is::kWord}, {"alias", Is::kWord}, {"query_location", Is::kWord}};
constexpr Member kOfTable[] = {
    {"type", Is::kWord}, {"alias", Is::kWord}, {"query_location", Is::kWord}, {"sample", Is::kSample}};
constexpr Member kOfNode[] = {{"type", Is::kWord}, {"cte_map", Is::kHere}};

// By "class".
constexpr Form kExprs[] = {
    {"BETWEEN", {{{"input", Is::kExpr}, {"lower", Is::kExpr}, {"upper", Is::kExpr}}}},
    {"CASE", {{{"case_checks", Is::kCases}, {"else_expr", Is::kExpr}}}},
    {"CAST", {{{"child", Is::kExpr}, {"cast_type", Is::kData}, {"try_cast", Is::kWord}}}},
    {"COLLATE", {{{"child", Is::kExpr}, {"collation", Is::kWord}}}},
    {"COLUMN_REF", {{{"column_names", Is::kWord}}}},
    {"COMPARISON", {{{"left", Is::kExpr}, {"right", Is::kExpr}}}},
    {"CONJUNCTION", {{{"children", Is::kExprs}}}},
    {"CONSTANT", {{{"value", Is::kData}}}},
    {"FUNCTION",
     {{{"function_name", Is::kWord},
       {"schema", Is::kWord},
       {"catalog", Is::kEmpty},
       {"children", Is::kHere},
       {"filter", Is::kExpr},
       {"order_bys", Is::kOrdering},
       {"distinct", Is::kWord},
       {"is_operator", Is::kWord},
       {"export_state", Is::kEmpty}}}},
    {"LAMBDA", {{{"lhs", Is::kExpr}, {"expr", Is::kExpr}}}},
    {"OPERATOR", {{{"children", Is::kExprs}}}},
    {"PARAMETER", {{{"identifier", Is::kWord}}}},
    {"POSITIONAL_REFERENCE", {{{"index", Is::kWord}}}},
    {"STAR",
     {{{"relation_name", Is::kWord},
       {"exclude_list", Is::kWord},
       {"replace_list", Is::kPairs},
       {"columns", Is::kWord},
       {"expr", Is::kExpr},
       {"qualified_exclude_list", Is::kData},
       {"rename_list", Is::kData}}}},
    {"SUBQUERY",
     {{{"subquery_type", Is::kWord},
       {"subquery", Is::kStatement},
       {"child", Is::kExpr},
       {"comparison_type", Is::kWord}}}},
    {"WINDOW",
     {{{"function_name", Is::kWord},
       {"schema", Is::kWord},
       {"catalog", Is::kEmpty},
       {"children", Is::kExprs},
       {"partitions", Is::kExprs},
       {"orders", Is::kOrders},
       {"start", Is::kWord},
       {"end", Is::kWord},
       {"start_expr", Is::kExpr},
       {"end_expr", Is::kExpr},
       {"offset_expr", Is::kExpr},
       {"default_expr", Is::kExpr},
       {"ignore_nulls", Is::kWord},
       {"filter_expr", Is::kExpr},
       {"exclude_clause", Is::kWord},
       {"distinct", Is::kWord},
       {"arg_orders", Is::kOrders}}}},
};

// By "type".
constexpr Form kTables[] = {
    {"BASE_TABLE",
     {{{"table_name", Is::kWord},
       {"schema_name", Is::kWord},
       {"catalog_name", Is::kWord},
       {"column_name_alias", Is::kWord},
       {"at_clause", Is::kEmpty}}}},
    {"EMPTY", {}},
    {"EXPRESSION_LIST", {{{"expected_names", Is::kWord}, {"expected_types", Is::kData}, {"values", Is::kExprRows}}}},
    {"JOIN",
     {{{"left", Is::kTable},
       {"right", Is::kTable},
       {"condition", Is::kExpr},
       {"join_type", Is::kWord},
       {"ref_type", Is::kWord},
       {"using_columns", Is::kWord},
       {"delim_flipped", Is::kWord},
       {"duplicate_eliminated_columns", Is::kExprs}}}},
    {"PIVOT",
     {{{"source", Is::kTable},
       {"aggregates", Is::kExprs},
       {"unpivot_names", Is::kWord},
       {"pivots", Is::kPivots},
       {"groups", Is::kWord},
       {"column_name_alias", Is::kWord},
       {"include_nulls", Is::kWord}}}},
    {"SHOW_REF",
     {{{"show_type", Is::kWord},
       {"table_name", Is::kEmpty},
       {"query", Is::kNode},
       {"catalog_name", Is::kEmpty},
       {"schema_name", Is::kEmpty}}}},
    {"SUBQUERY", {{{"subquery", Is::kStatement}, {"column_name_alias", Is::kWord}}}},
    {"TABLE_FUNCTION",
     {{{"function", Is::kTableCall}, {"column_name_alias", Is::kWord}, {"with_ordinality", Is::kWord}}}},
};

// By "type".
constexpr Form kNodes[] = {
    {"SELECT_NODE",
     {{{"from_table", Is::kHere},
       {"select_list", Is::kHere},
       {"where_clause", Is::kExpr},
       {"group_expressions", Is::kExprs},
       {"group_sets", Is::kSets},
       {"aggregate_handling", Is::kWord},
       {"having", Is::kExpr},
       {"qualify", Is::kExpr},
       {"sample", Is::kSample},
       {"modifiers", Is::kModifiers}}}},
    {"SET_OPERATION_NODE",
     {{{"setop_type", Is::kWord},
       {"setop_all", Is::kWord},
       {"left", Is::kNode},
       {"right", Is::kNode},
       {"children", Is::kEmpty},
       {"modifiers", Is::kModifiers}}}},
    {"RECURSIVE_CTE_NODE",
     {{{"cte_name", Is::kWord},
       {"union_all", Is::kWord},
       {"left", Is::kHere},
       {"right", Is::kHere},
       {"aliases", Is::kWord},
       {"key_targets", Is::kExprs},
       {"payload_aggregates", Is::kExprs},
       {"modifiers", Is::kModifiers}}}},
};

// By "type".
constexpr Form kModifiers[] = {
    {"DISTINCT_MODIFIER", {{{"distinct_on_targets", Is::kExprs}}}},
    {"LIMIT_MODIFIER", {{{"limit", Is::kExpr}, {"offset", Is::kExpr}}}},
    {"LIMIT_PERCENT_MODIFIER", {{{"limit", Is::kExpr}, {"offset", Is::kExpr}}}},
    {"ORDER_MODIFIER", {{{"orders", Is::kOrders}}}},
};

// Where no column has such a name, DuckDB calls the function of that name. The first read the clock, the others name
// parts of the server that no answer should be kept with.
constexpr std::array<std::string_view, 12> kValueFunctions = {
    "current_date", "current_time", "current_timestamp", "localtime",    "localtimestamp", "current_catalog",
    "current_user", "current_role", "current_schema",    "session_user", "user",           "current_database"};

// What joins its arguments: the result is as large as all of them together. All else is as large as the largest.
const std::set<std::string_view> kJoins = {"||",
                                           "concat",
                                           "concat_ws",
                                           "list_concat",
                                           "list_cat",
                                           "array_concat",
                                           "array_cat",
                                           "list_value",
                                           "list_pack",
                                           "row",
                                           "struct_pack",
                                           "list_append",
                                           "array_append",
                                           "list_prepend",
                                           "array_prepend",
                                           "array_push_back",
                                           "array_push_front",
                                           "map",
                                           "map_concat",
                                           "struct_concat",
                                           "struct_insert",
                                           "list_zip",
                                           "array_zip",
                                           "list_transform",
                                           "list_apply",
                                           "array_transform",
                                           "array_apply",
                                           "apply",
                                           "list_reduce",
                                           "array_reduce",
                                           "reduce",
                                           "json_object",
                                           "json_array",
                                           "json_merge_patch",
                                           "array_value",
                                           "json_group_array",
                                           "json_group_object"};

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return out;
}

// Of parts that have no kind of their own.
constexpr Member kOfStatement[] = {{"node", Is::kNode}, {"named_param_map", Is::kData}};
constexpr Member kOfCase[] = {{"when_expr", Is::kExpr}, {"then_expr", Is::kExpr}};
constexpr Member kOfPair[] = {{"key", Is::kWord}, {"value", Is::kExpr}};
constexpr Member kOfOrder[] = {{"type", Is::kWord}, {"null_order", Is::kWord}, {"expression", Is::kExpr}};
constexpr Member kOfOrdering[] = {{"type", Is::kWord}, {"orders", Is::kOrders}};
constexpr Member kOfModifier[] = {{"type", Is::kWord}};
constexpr Member kOfPivot[] = {{"pivot_expressions", Is::kExprs},
                               {"unpivot_names", Is::kWord},
                               {"entries", Is::kEntries},
                               {"subquery", Is::kNode},
                               {"pivot_enum", Is::kEmpty}};
constexpr Member kOfEntry[] = {
    {"values", Is::kData}, {"star_expr", Is::kExpr}, {"expr", Is::kExpr}, {"alias", Is::kWord}};
constexpr Member kOfCte[] = {{"aliases", Is::kWord},
                             {"query", Is::kStatement},
                             {"materialized", Is::kWord},
                             {"key_targets", Is::kExprs},
                             {"payload_aggregates", Is::kExprs}};

// How much a part of the statement is once everything named is put in place of its name, and how many bytes one value
// can be for each byte of data.
struct Size {
  double weight = 0;
  double growth = 1;
  void add(const Size& other) {
    weight += other.weight;
    growth = std::max(growth, other.growth);
  }
};

const Json kNull;

const Json& member(const Json& object, const char* name) {
  auto found = object.find(name);
  return found == object.end() ? kNull : *found;
}

// A word; empty when it is none.
std::string_view word(const Json& object, const char* name) {
  const Json& value = member(object, name);
  return value.is_string() ? std::string_view(value.get_ref<const std::string&>()) : std::string_view();
}

bool is_empty(const Json& value) {
  return value.is_null() || (value.is_boolean() && !value.get<bool>()) ||
         (value.is_string() && value.get_ref<const std::string&>().empty()) ||
         ((value.is_array() || value.is_object()) && value.empty());
}

bool is_plain(const Json& value) {
  if (!value.is_structured()) return true;
  return value.is_array() && std::all_of(value.begin(), value.end(), is_plain);
}

// No expression, table or query hides in it.
bool is_data(const Json& value) {
  if (!value.is_structured()) return true;
  if (value.is_object() && (value.contains("class") || value.contains("node") || value.contains("function_name")))
    return false;
  return std::all_of(value.begin(), value.end(), is_data);
}

Error denied(std::string what) { return Error{Code::kDenied, std::move(what)}; }
Error too_large(std::string what) { return Error{Code::kTooLarge, std::move(what)}; }
Error strange(std::string_view what) {
  return denied("the SQL has " + std::string(what) + " of a form that is not allowed here");
}

// The integer or the text that an argument is, when it is written out.
std::optional<double> number(const Json& args, std::size_t i) {
  if (!args.is_array() || i >= args.size() || word(args[i], "class") != "CONSTANT") return std::nullopt;
  const Json& value = member(member(args[i], "value"), "value");
  return value.is_number_integer() ? std::optional<double>(value.get<double>()) : std::nullopt;
}
std::optional<std::string> text(const Json& args, std::size_t i) {
  if (!args.is_array() || i >= args.size() || word(args[i], "class") != "CONSTANT") return std::nullopt;
  const Json& value = member(member(args[i], "value"), "value");
  return value.is_string() ? std::optional<std::string>(value.get<std::string>()) : std::nullopt;
}

// A pattern of format or printf: no width of more than three digits, and none that comes from an argument.
Status pattern_is_modest(const std::string& function, std::string_view pattern) {
  std::size_t digits = 0;
  int open = 0;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    digits = c >= '0' && c <= '9' ? digits + 1 : 0;
    if (digits > 3) return denied("the pattern of '" + function + "' has a number of more than three digits");
    if (function == "printf") {
      if (c == '*') return denied("the pattern of 'printf' may have no '*'");
    } else if (c == '{' && open == 0 && i + 1 < pattern.size() && pattern[i + 1] == '{') {
      ++i;  // stands for a brace
    } else if (c == '{') {
      if (++open > 1) return denied("the pattern of 'format' may have no braces inside braces");
    } else if (c == '}' && open > 0) {
      --open;
    }
  }
  return {};
}

// By how much a call can make its value larger than its arguments. DuckDB's limit of memory does not count what one
// call makes, so the SQL alone must bound it.
Result<double> growth_of(const std::string& name, const Json& args) {
  auto written_out = [&](const char* which) {
    return denied("the " + std::string(which) + " of '" + name + "' must be written out in the SQL");
  };
  if (name == "repeat" || name == "list_resize" || name == "array_resize" || name == "lpad" || name == "rpad") {
    auto count = number(args, 1);
    return count ? Result<double>(std::max(1.0, *count)) : written_out("length");
  }
  if (name == "range" || name == "generate_series") {
    const std::size_t given = args.size();
    auto start = given > 1 ? number(args, 0) : std::optional<double>(0);
    auto stop = number(args, given > 1 ? 1 : 0);
    auto step = given > 2 ? number(args, 2) : std::optional<double>(1);
    if (!start || !stop || !step)
      return denied("'" + name + "' of anything but whole numbers written out belongs in FROM");
    return *step == 0 ? 1.0 : std::max(1.0, (*stop - *start) / *step);
  }
  if (name == "format" || name == "printf") {
    auto pattern = text(args, 0);
    if (!pattern) return written_out("pattern");
    TRY(pattern_is_modest(name, *pattern));
    return 1.0;
  }
  if (name == "replace" || name == "regexp_replace") {
    auto what = text(args, 1);
    auto by = text(args, 2);
    if (!by) return 16.0;
    const bool plain = name == "replace" && what && !what->empty();
    return std::max(1.0, static_cast<double>(by->size()) / (plain ? static_cast<double>(what->size()) : 1.0));
  }
  if (name == "bin" || name == "to_binary") return 8.0;
  if (name == "url_encode") return 3.0;
  if (name == "hex" || name == "to_hex" || name == "base64" || name == "to_base64") return 2.0;
  return 1.0;
}

class Walk {
 public:
  explicit Walk(std::span<const std::string> tables) : tables_(tables.begin(), tables.end()) {}

  Result<Checked> statement(const Json& json) {
    const Size size = TRY(inside(Is::kStatement, json));
    if (size.weight > kWeightFactor * raw_ + kWeightFree)
      return too_large(
          "the SQL is too tangled: with every name replaced by what it stands for it is thousands of times as large");
    for (std::size_t i = 1; i <= params_.size(); ++i)
      if (params_.count(i) == 0)
        return Error{Code::kInvalid, "the SQL has " + std::to_string(params_.size()) +
                                         (params_.size() == 1 ? " placeholder" : " placeholders") + ", but none is $" +
                                         std::to_string(i)};
    checked_.tables.assign(reads_.begin(), reads_.end());
    checked_.params = params_.size();
    return std::move(checked_);
  }

 private:
  struct Named {
    std::string name;
    Size size;
  };
  using Members = std::span<const Member>;

  Result<Size> inside(Is is, const Json& value) {
    if (depth_ >= kDepthMax) return too_large("the SQL is nested too deep");
    ++depth_;
    Result<Size> size = inside_deeper(is, value);
    --depth_;
    return size;
  }

  Result<Size> inside_deeper(Is is, const Json& value) {
    auto when = [](bool good, const char* what) { return good ? Result<Size>(Size{}) : strange(what); };
    auto all_of = [&](Is item) { return each(value, [&](const Json& one) { return inside(item, one); }); };
    auto parts = [&](Members known) { return each(value, [&](const Json& one) { return members(one, known, {}); }); };
    switch (is) {
      case Is::kWord:
        return when(is_plain(value), "a word");
      case Is::kData:
        return when(is_data(value), "a value");
      case Is::kEmpty:
        return when(is_empty(value), "something unknown");
      case Is::kSample:
        if (!is_empty(value)) checked_.repeatable = false;
        return when(is_data(value), "a sample");
      case Is::kExpr:
        return value.is_null() ? Result<Size>(Size{}) : expr(value);
      case Is::kExprs:
        return all_of(Is::kExpr);
      case Is::kExprRows:
        return all_of(Is::kExprs);
      case Is::kCases:
        return parts(kOfCase);
      case Is::kPairs:
        return parts(kOfPair);
      case Is::kOrders:
        return parts(kOfOrder);
      case Is::kOrdering:
        return is_empty(value) ? Result<Size>(Size{}) : members(value, kOfOrdering, {});
      case Is::kNode:
        return value.is_null() ? Result<Size>(Size{}) : node(value);
      case Is::kStatement:
        return members(value, kOfStatement, {});
      case Is::kTable:
        return table(value);
      case Is::kModifiers:
        return each(value, [&](const Json& one) { return formed(kModifiers, "type", kOfModifier, one, "a clause"); });
      case Is::kPivots:
        return parts(kOfPivot);
      case Is::kEntries:
        return parts(kOfEntry);
      case Is::kSets:
        if (value.is_array() && value.size() > kGroupingSetsMax)
          return too_large("the SQL has more than " + std::to_string(kGroupingSetsMax) + " grouping sets");
        return when(is_plain(value), "grouping sets");
      case Is::kTableCall:
        return table_call(value);
      case Is::kHere:
        return Size{};
    }
    return strange("something unknown");
  }

  template <typename F>
  Result<Size> each(const Json& array, F&& walk_one) {
    Size all;
    if (array.is_null()) return all;
    if (!array.is_array()) return strange("a list");
    for (const Json& one : array) {
      const Size size = TRY(walk_one(one));
      all.add(size);
    }
    return all;
  }

  // Every member that is there must be in one of the lists, or empty.
  Result<Size> members(const Json& object, Members known, Members common) {
    if (!object.is_object()) return strange("a part");
    Size all;
    for (const auto& [name, value] : object.items()) {
      const Member* found = nullptr;
      for (Members list : {known, common})
        for (const Member& m : list)
          if (m.name == name) found = &m;
      if (found == nullptr && !is_empty(value)) return denied("the SQL uses '" + name + "', which is not allowed here");
      if (found == nullptr) continue;
      const Size size = TRY(inside(found->is, value));
      all.add(size);
    }
    return all;
  }

  template <std::size_t N>
  Result<Size> formed(const Form (&forms)[N], const char* key, Members common, const Json& object, const char* what) {
    const std::string_view name = object.is_object() ? word(object, key) : std::string_view();
    for (const Form& form : forms) {
      if (name.empty() || form.name != name) continue;
      raw_ += 1;
      Size size = TRY(members(object, form.members, common));
      size.weight += 1;
      return size;
    }
    return denied("the SQL has " + std::string(what) + " of the form " + std::string(name) +
                  ", which is not allowed here");
  }

  // --- Expressions ---

  Result<Size> expr(const Json& json) {
    const std::string_view kind = json.is_object() ? word(json, "class") : std::string_view();
    Size size = TRY(formed(kExprs, "class", kOfExpr, json, "an expression"));
    if (kind == "FUNCTION") {
      const Size call = TRY(function(json));
      size.add(call);
    }
    if (kind == "WINDOW") TRY(may_call(lower(word(json, "function_name")), member(json, "children").size()));
    if (kind == "COLUMN_REF") column(json, size);
    if (kind == "PARAMETER") TRY(parameter(word(json, "identifier")));
    if (kind == "SUBQUERY" || kind == "LAMBDA") size.weight *= 2;  // the planner walks these again and again
    size.weight = std::min(size.weight, 1e15);
    return size;
  }

  Status parameter(std::string_view identifier) {
    std::size_t number = 0;
    for (char c : identifier) {
      if (c < '0' || c > '9' || number > 9999)
        return Error{Code::kInvalid, "placeholders are ?, or $1, $2 and so on; not $" + std::string(identifier)};
      number = number * 10 + static_cast<std::size_t>(c - '0');
    }
    params_.insert(number);
    return {};
  }

  void column(const Json& json, Size& size) {
    const Json& names = member(json, "column_names");
    if (!names.is_array() || names.size() != 1 || !names[0].is_string()) return;
    const std::string name = lower(names[0].get_ref<const std::string&>());
    if (std::find(kValueFunctions.begin(), kValueFunctions.end(), name) != kValueFunctions.end())
      checked_.repeatable = false;
    // It may be the alias of an earlier column of the same SELECT, and stand for all of that.
    auto alias = std::find_if(aliases_.rbegin(), aliases_.rend(), [&](const Named& n) { return n.name == name; });
    if (alias != aliases_.rend()) size.add(alias->size);
  }

  Status may_call(const std::string& name, std::size_t args) {
    const Allowed allowed = function_allowed(name);
    if (allowed == Allowed::kNo)
      return denied("the function '" + name + "' does not exist or may not be used" +
                    did_you_mean(name, function_names()));
    if (allowed == Allowed::kNotRepeatable) checked_.repeatable = false;
    if (name == "age" && args < 2) checked_.repeatable = false;  // since today
    return {};
  }

  Result<Size> function(const Json& json) {
    const std::string name = lower(word(json, "function_name"));
    const Json& args = member(json, "children");
    TRY(may_call(name, args.size()));
    Size size;
    double sum = 0;
    const auto measure = [&](const Json& arg) {
      Result<Size> one = inside(Is::kExpr, arg);
      if (one.ok()) sum += one->growth;
      return one;
    };
    size = TRY(each(args, measure));
    if (kJoins.count(name) != 0) size.growth = std::max(size.growth, sum);
    if (function_allowed(name) == Allowed::kGrows) size.growth *= TRY(growth_of(name, args));
    if (size.growth > kGrowthMax)
      return too_large("'" + name + "' could make a value a million times as large as what it is made of");
    return size;
  }

  // --- Tables ---

  Result<Size> table(const Json& json) {
    Size size = TRY(formed(kTables, "type", kOfTable, json, "a table"));
    const std::string_view kind = word(json, "type");
    if (kind == "BASE_TABLE") TRY(named_table(json, size));
    if (kind == "SHOW_REF") {
      const std::string_view show = word(json, "show_type");
      if ((show != "DESCRIBE" && show != "SUMMARY") || member(json, "query").is_null())
        return denied("of these statements only DESCRIBE and SUMMARIZE of a query or a source are allowed");
    }
    return size;
  }

  Status named_table(const Json& json, Size& size) {
    const std::string name(word(json, "table_name"));
    const std::string schema(word(json, "schema_name"));
    const std::string catalog(word(json, "catalog_name"));
    if (!schema.empty() || !catalog.empty())
      return denied("the table '" + catalog + (catalog.empty() ? "" : ".") + schema + "." + name +
                    "' may not be read; a source is named without a schema");
    const std::string key = lower(name);
    auto cte = std::find_if(ctes_.rbegin(), ctes_.rend(), [&](const Named& n) { return n.name == key; });
    if (cte != ctes_.rend()) {
      size.add(cte->size);
      return {};
    }
    for (std::string_view declared : tables_) {
      if (lower(declared) != key) continue;
      reads_.emplace(declared);
      return {};
    }
    if (name.find_first_of("./\\:*?[") != std::string::npos)
      return denied("'" + name + "' may not be read: files are read only as the sources that are declared");
    return Error{Code::kNotFound, "there is no source '" + name + "'" + did_you_mean(name, tables_)};
  }

  Result<Size> table_call(const Json& json) {
    const std::string name = json.is_object() ? lower(word(json, "function_name")) : std::string();
    if (!table_function_allowed(name)) return denied("the function '" + name + "' may not be used in FROM");
    if (!word(json, "schema").empty() && word(json, "schema") != "main") return strange("a function in FROM");
    Size size = TRY(formed(kExprs, "class", kOfExpr, json, "a function in FROM"));
    const Size args = TRY(inside(Is::kExprs, member(json, "children")));
    size.add(args);
    return size;
  }

  // --- Queries ---

  // Common table expressions are seen by those after them and by the query they belong to; their names end with it.
  Result<Size> node(const Json& json) {
    const std::size_t ctes_before = ctes_.size();
    const std::size_t aliases_before = aliases_.size();
    Result<Size> size = named_node(json);
    ctes_.resize(ctes_before);
    aliases_.resize(aliases_before);
    return size;
  }

  Result<Size> named_node(const Json& json) {
    if (!json.is_object()) return strange("a query");
    const Size ctes = TRY(each(member(member(json, "cte_map"), "map"), [this](const Json& one) { return cte(one); }));
    const std::string_view kind = word(json, "type");
    Size size;
    Size from;
    if (kind == "RECURSIVE_CTE_NODE") {
      size = TRY(inside(Is::kNode, member(json, "left")));
      ctes_.push_back({lower(word(json, "cte_name")), Size{}});  // seen by the part that is repeated
      const Size repeated = TRY(inside(Is::kNode, member(json, "right")));
      size.add(repeated);
    } else if (kind == "SELECT_NODE") {
      from = TRY(inside(Is::kTable, member(json, "from_table")));
      size = TRY(each(member(json, "select_list"), [this](const Json& item) {
        Result<Size> one = inside(Is::kExpr, item);
        if (one.ok() && item.is_object() && !word(item, "alias").empty())
          aliases_.push_back({lower(word(item, "alias")), *one});
        return one;
      }));
    }
    const Size rest = TRY(formed(kNodes, "type", kOfNode, json, "a query"));
    size.add(rest);
    size.weight += from.weight + ctes.weight;
    size.growth *= from.growth;
    if (size.growth > kGrowthMax)
      return too_large("the SQL could make a value a million times as large as what it is made of");
    return size;
  }

  Result<Size> cte(const Json& item) {
    if (!item.is_object() || !member(item, "key").is_string()) return strange("a common table expression");
    const Size size = TRY(members(member(item, "value"), kOfCte, {}));
    ctes_.push_back({lower(word(item, "key")), size});
    return size;
  }

  const std::vector<std::string_view> tables_;
  Checked checked_;
  std::set<std::string> reads_;
  std::set<std::size_t> params_;
  int depth_ = 0;
  double raw_ = 0;  // parts of the statement as it is written
  std::vector<Named> ctes_;
  std::vector<Named> aliases_;
};

// The tree without places in the text, and without members that are empty: each form always has all of its members, so
// that leaving these out makes no two trees equal. Values keep all theirs.
Json normal(const Json& json) {
  if (json.is_array()) {
    Json out = Json::array();
    for (const Json& one : json) out.push_back(normal(one));
    return out;
  }
  if (!json.is_object()) return json;
  Json out = Json::object();
  for (const auto& [name, value] : json.items()) {
    if (name == "query_location") continue;
    if (name == "value" || !is_empty(value)) out[name] = normal(value);
  }
  return out;
}

// "line 2, column 5" of a place in the text.
std::string line_and_column(std::string_view sql, std::size_t place) {
  std::size_t line = 1;
  std::size_t column = 1;
  for (char c : sql.substr(0, place)) {
    if (c == '\n') {
      ++line;
      column = 1;
    } else if ((static_cast<unsigned char>(c) & 0xC0) != 0x80) {
      ++column;
    }
  }
  return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

Error parse_error(const Json& json, std::string_view sql) {
  if (word(json, "error_type") == "not implemented")
    return denied("only SELECT is allowed, and DESCRIBE and SUMMARIZE of one");
  std::string message(word(json, "error_message"));
  if (message.find("Max expression depth") != std::string::npos ||
      message.find("memory exhausted") != std::string::npos)
    return too_large("the SQL is nested too deep");
  std::size_t place = 0;
  for (char c : word(json, "position")) place = place * 10 + static_cast<std::size_t>(c - '0');
  if (!word(json, "position").empty()) message += " at " + line_and_column(sql, place);
  return Error{Code::kInvalid, message.empty() ? "this is not SQL" : message};
}

// Brackets inside brackets, outside of texts. The walk counts its own steps; this bounds those that look at data.
bool is_too_deep(std::string_view json) {
  constexpr int kBracketsMax = 1000;
  int depth = 0;
  bool in_text = false;
  for (std::size_t i = 0; i < json.size(); ++i) {
    const char c = json[i];
    if (in_text && c == '\\')
      ++i;
    else if (c == '"')
      in_text = !in_text;
    else if (!in_text && (c == '[' || c == '{') && ++depth > kBracketsMax)
      return true;
    else if (!in_text && (c == ']' || c == '}'))
      --depth;
  }
  return false;
}

Result<Json> parse(std::string_view text) {
  if (is_too_deep(text)) return too_large("the SQL is nested too deep");
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded())
    return Error{Code::kInvalid, "the SQL has a number or a text that cannot be kept exactly, such as 1e999"};
  return json;
}

Result<Checked> check_json(const Json& json, std::string_view sql, std::span<const std::string> tables) {
  if (!json.is_object() || !member(json, "error").is_boolean()) return strange("a statement");
  if (member(json, "error").get<bool>()) return parse_error(json, sql);
  const Json& statements = member(json, "statements");
  if (!statements.is_array()) return strange("a statement");
  if (statements.empty()) return Error{Code::kInvalid, "the SQL is empty"};
  if (statements.size() > 1) return denied("only one statement is allowed");
  Checked checked = TRY(Walk(tables).statement(statements[0]));
  checked.normal = normal(statements[0]).dump(-1, ' ', false, Json::error_handler_t::replace);
  return checked;
}

}  // namespace

Result<Checked> check_tree(std::string_view json, std::span<const std::string> tables) {
  const Json parsed = TRY(parse(json));
  return check_json(parsed, {}, tables);
}

Result<Checked> check_sql(Connection& connection, std::string_view sql, std::span<const std::string> tables) {
  if (sql.size() > kSqlBytesMax)
    return too_large("the SQL has " + std::to_string(sql.size()) + " bytes, at most " + std::to_string(kSqlBytesMax) +
                     " are allowed");
  if (sql.find('\0') != std::string_view::npos) return Error{Code::kInvalid, "the SQL has a zero byte in it"};
  const std::string tree = TRY(connection.text("SELECT json_serialize_sql($1::VARCHAR)::VARCHAR", {std::string(sql)}));
  const Json parsed = TRY(parse(tree));
  return check_json(parsed, sql, tables);
}

}  // namespace larder::duck
