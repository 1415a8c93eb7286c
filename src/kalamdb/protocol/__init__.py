"""How SQL types, cells and rows look in JSON: what server and client agree upon."""

from kalamdb.protocol.cells import cell_decoder, decode_cell
from kalamdb.protocol.data_types import decode_data_type, encode_data_type, encode_schema
from kalamdb.protocol.parameters import decode_parameter, parameter_decoder

__all__ = [
    "cell_decoder",
    "decode_cell",
    "decode_data_type",
    "decode_parameter",
    "encode_data_type",
    "encode_schema",
    "parameter_decoder",
]
