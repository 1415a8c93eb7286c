#include "errors.hpp"

#include <cstring>
#include <utility>

namespace kalam {

IoError::IoError(int code, std::string operation, std::string path)
    : Error(operation + " failed" + (path.empty() ? std::string() : " on " + path) + ": " +
            std::strerror(code)),
      code(code),
      operation(std::move(operation)),
      path(std::move(path)) {}

Corruption::Corruption(std::string path, std::uint64_t offset, std::string detail)
    : Error(path + " is damaged at offset " + std::to_string(offset) + ": " + detail),
      path(std::move(path)),
      offset(offset) {}

Locked::Locked(std::string path, std::int64_t owner)
    : Error(path + " is already open" + (owner > 0 ? " in process " + std::to_string(owner) : std::string())),
      owner(owner) {}

LimitExceeded::LimitExceeded(std::string message, std::uint64_t position)
    : Error(std::move(message)), position(position) {}

InvalidText::InvalidText(std::string message, std::uint64_t position)
    : Error(std::move(message)), position(position) {}

ValueMismatch::ValueMismatch(std::string message, std::int64_t row, std::int64_t column)
    : Error(std::move(message)), row(row), column(column) {}

ValueOutOfRange::ValueOutOfRange(std::string message, std::int64_t row, std::int64_t column)
    : Error(std::move(message)), row(row), column(column) {}

NullValue::NullValue(std::int64_t row, std::int64_t column)
    : Error("a required value is missing"), row(row), column(column) {}

DuplicateKey::DuplicateKey(std::int64_t operation) : Error("the key already exists"), operation(operation) {}

WriteConflict::WriteConflict(std::string message, std::int64_t operation)
    : Error(std::move(message)), operation(operation) {}

ColdMiss::ColdMiss(std::uint64_t table, std::string_view of)
    : Error("rows in a storage are to be read first"), table_id(table), partition(of) {}

}  // namespace kalam
