"""What exists: namespaces, tables and views, where they are stored, and the system tables that show them."""

from kalamdb.catalog.catalog import DEFAULT_NAMESPACE, Catalog, CatalogChange, Namespace, View
from kalamdb.catalog.loading import load_catalog
from kalamdb.catalog.reserved import RESERVED
from kalamdb.catalog.system_tables import SYSTEM_TABLES, SystemSource, system_table

__all__ = [
    "DEFAULT_NAMESPACE",
    "RESERVED",
    "SYSTEM_TABLES",
    "Catalog",
    "CatalogChange",
    "Namespace",
    "SystemSource",
    "View",
    "load_catalog",
    "system_table",
]
