import json

from kalamdb.engine.segments.sealed_json import encode_sealed, is_sealed


def test_a_sealed_object_is_json_with_its_checksum_last():
    content = encode_sealed({"format_version": 1, "text": 'a "checksum":"b"}\n'})
    assert is_sealed(content)
    found = json.loads(content)
    assert list(found) == ["format_version", "text", "checksum"]
    assert found["text"] == 'a "checksum":"b"}\n'


def test_every_byte_counts():
    content = encode_sealed({"number": 7, "text": "ä"})
    for at in range(len(content)):
        assert not is_sealed(content[:at])
        assert not is_sealed(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    assert not is_sealed(content + b" ")
