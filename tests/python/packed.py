"""The key of a stored row, read as crates/lake/src/rows/packed.rs and bits.rs describe it, by code that shares none with theirs."""

KIND, COUNTER_HIGH = 7, 8
ID_USER, ID_TARGET, THROTTLE = 1, 2, 4
ALERT = 3


class Bits:
    """Bits of some bytes, the lowest of the first byte first."""

    def __init__(self, data):
        self.rest = int.from_bytes(data, "little")

    def take(self, count):
        taken = self.rest & ((1 << count) - 1)
        self.rest >>= count
        return taken

    def number(self):
        length = self.take(5)
        if length == 31:
            length += self.take(6)
        return self.take(length - 1) | 1 << (length - 1) if length else 0

    def signed(self):
        number = self.number()
        return number >> 1 ^ -(number & 1)


def key_of(row):
    """User, kind, Command Variant, alert code, throttle sequence, and the three parts of the id."""
    flags, low, high, command_variant, _mode = row["shape"][:5]
    has = low | high << 8
    kind = flags & KIND
    code = row["shape"][6 : 6 + row["shape"][5]] if kind == ALERT else None
    tail = Bits(row["tail"])
    received_ms = round(row["received_at"].timestamp() * 1000)
    counter = (tail.signed() + received_ms) | (1 << 63 if flags & COUNTER_HIGH else 0)
    user = tail.take(64).to_bytes(8, "little") if has & ID_USER else row["user_id"]
    target = tail.take(64).to_bytes(8, "little") if has & ID_TARGET else row["device_id"]
    throttle = tail.number() if has & THROTTLE else None
    return row["user_id"], kind, command_variant, code, throttle, user, target, counter
