"""How deep a message is nested, before a library reads it that calls itself for each level."""

def is_json_deeper(text: bytes, depth_max: int) -> bool:
    """Whether arrays and objects are open one in the other more than `depth_max` deep; of what is no JSON, as far as
    that can be told.
    """

def is_msgpack_deeper(message: bytes, depth_max: int) -> bool:
    """The same of a MessagePack value."""
