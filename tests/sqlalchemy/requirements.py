"""What SQLAlchemy's own suite may ask of the dialect, and what it may not, with the reason."""

from __future__ import annotations

from sqlalchemy.testing import exclusions
from sqlalchemy.testing.provision import set_default_schema_on_connection
from sqlalchemy.testing.requirements import SuiteRequirements

OFFERED = [
    "ad_hoc_engines",
    "aggregate_order_by",
    "autocommit",
    "binary_comparisons",
    "binary_literals",
    "create_or_replace_view",
    "ctes",
    "ctes_with_values",
    "date_historic",
    "date_implicit_bound",
    "datetime_historic",
    "datetime_implicit_bound",
    "datetime_literals",
    "datetime_microseconds",
    "datetime_timezone",
    "datetime_timezone_historic",
    "default_schema_name_switch",
    "delete_returning",
    "dialect_level_isolation_level_param",
    "duplicate_key_raises_integrity_error",
    "empty_inserts",
    "except_",
    "expression_server_defaults",
    "foreign_key_ddl",
    "foreign_keys",
    "get_isolation_level_values",
    "implicit_default_schema",
    "independent_connections",
    "infinity_floats",
    "insert_executemany_returning",
    "insert_from_select",
    "insert_returning",
    "insertmanyvalues",
    "intersect",
    "isolation_level",
    "json_array_indexes",
    "json_index_supplementary_unicode_element",
    "json_type",
    "legacy_unconditional_json_extract",
    "multivalues_inserts",
    "nullsordering",
    "order_by_col_from_union",
    "parens_in_union_contained_select_w_limit_offset",
    "parens_in_union_contained_select_wo_limit_offset",
    "precision_numerics_enotation_small",
    "precision_numerics_many_significant_digits",
    "precision_numerics_retains_significant_digits",
    "primary_key_constraint_reflection",
    "queue_pool",
    "reflect_table_options",
    "regexp_match",
    "regexp_replace",
    "sane_multi_rowcount",
    "sane_rowcount",
    "sane_rowcount_w_returning",
    "schema_create_delete",
    "schema_reflection",
    "schemas",
    "server_defaults",
    "skip_autocommit_rollback",
    "supports_bitwise_and",
    "supports_bitwise_or",
    "supports_bitwise_shift",
    "supports_bitwise_xor",
    "supports_is_distinct_from",
    "table_ddl_if_exists",
    "table_reflection",
    "table_value_constructor",
    "time_implicit_bound",
    "timestamp_microseconds",
    "tuple_in",
    "tuple_in_w_empty",
    "unicode_data",
    "unusual_column_name_characters",
    "update_returning",
    "update_where_target_in_subquery",
    "uuid_data_type",
    "view_column_reflection",
    "view_reflection",
    "views",
    "window_functions",
]

NOT_OFFERED = {
    "check_constraint_reflection": "there are no CHECK constraints",
    "comment_reflection": "tables have no comments; columns have",
    "computed_columns": "views compute",
    "create_table_as": "CREATE TABLE and INSERT … SELECT are two statements",
    "cross_schema_fk_reflection": "foreign keys are left out",
    "ctes_on_dml": "WITH begins a query, and no INSERT",
    "date_coerces_from_datetime": "an instant that is not midnight does not fit a DATE, and is refused",
    "delete_from": "DELETE has one table; a subquery names the others",
    "fetch_first": "LIMIT says it",
    "foreign_key_constraint_reflection": "foreign keys are left out",
    "identity_columns": "keys fill themselves by SNOWFLAKE_ID(), and do not begin with 1",
    "implements_get_lastrowid": "RETURNING tells a new key",
    "index_ddl_if_exists": "there are no indexes",
    "index_reflection": "there are no indexes",
    "inline_check_constraint_reflection": "there are no CHECK constraints",
    "named_constraints": "keys have no names",
    "reflects_pk_names": "keys have no names",
    "savepoints": "a transaction is committed or rolled back as a whole",
    "self_referential_foreign_keys": "foreign keys are not enforced",
    "sequences": "there are no sequences",
    "supports_distinct_on": "it is there, and the suite has nothing to ask of it but that others lack it",
    "symbol_names_w_double_quote": "names of tables are letters from a to z, digits and _",
    "temp_table_names": "there are no temporary tables",
    "temp_table_reflection": "there are no temporary tables",
    "temporary_tables": "there are no temporary tables",
    "temporary_views": "there are no temporary views",
    "time_timezone": "a time of day has no zone",
    "two_phase_transactions": "there is nobody to agree with",
    "unicode_ddl": "names of tables are letters from a to z, digits and _",
    "unique_constraint_reflection": "only the primary key is unique",
    "update_from": "UPDATE has one table; a subquery names the others",
    "window_range": "the bounds of RANGE are of the type of ORDER BY, and not plain numbers",
    "window_range_numeric": "the bounds of RANGE are of the type of ORDER BY, and not plain numbers",
}


class Requirements(SuiteRequirements):
    """As the two lists above have it; of what they do not name, SQLAlchemy's assumptions hold."""


for _name in OFFERED:
    setattr(Requirements, _name, property(lambda self: exclusions.open()))
for _name in NOT_OFFERED:
    setattr(Requirements, _name, property(lambda self: exclusions.closed()))


@set_default_schema_on_connection.for_db("kalamdb")
def use_namespace(config, dbapi_connection, schema_name):
    """As the suite changes the default namespace of a connection."""
    dbapi_connection.cursor().execute(f"USE {schema_name}")
