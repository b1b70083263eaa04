"""Writes tiny .ort files, of the fields that `read_ort` reads; the slots stand here as numbers of their own."""

import numpy as np

CODES = {"float32": 1, "uint8": 2, "int64": 7}


def table(builder, slots, **fields):
    """A table of offsets and numbers by slot, e.g. o3=offset, i4=int32, u4=uint32."""
    builder.StartObject(slots)
    for name, value in fields.items():
        slot = int(name[1:])
        if name[0] == "o":
            builder.PrependUOffsetTRelativeSlot(slot, value, 0)
        elif name[0] == "i":
            builder.PrependInt32Slot(slot, value, 0)
        else:
            builder.PrependUint32Slot(slot, value, 0)
    return builder.EndObject()


def offsets(builder, values):
    builder.StartVector(4, len(values), 4)
    for value in reversed(values):
        builder.PrependUOffsetTRelative(value)
    return builder.EndVector()


def tensor(builder, name, value, code=None):
    value = np.asarray(value)
    data = builder.CreateByteVector(value.tobytes())
    builder.StartVector(8, value.ndim, 8)
    for size in reversed(value.shape):
        builder.PrependInt64(size)
    dims = builder.EndVector()
    name = builder.CreateString(name)
    return table(builder, 7, o0=name, o2=dims, i3=code or CODES[value.dtype.name], o4=data)


def attribute(builder, name, graph):
    return table(builder, 13, o0=builder.CreateString(name), i2=5, o7=graph)


def node(builder, name, op, index, inputs=(), attributes=()):
    inputs = offsets(builder, [builder.CreateString(each) for each in inputs])
    attributes = offsets(builder, list(attributes))
    name, op = builder.CreateString(name), builder.CreateString(op)
    return table(builder, 13, o0=name, u4=index, o5=op, o8=inputs, o10=attributes)


def graph(builder, tensors, nodes):
    return table(builder, 9, o0=offsets(builder, tensors), o2=offsets(builder, nodes))


def finished(builder, main):
    version = builder.CreateString("6")
    session = table(builder, 4, o0=version, o1=table(builder, 10, o7=main))
    builder.Finish(session, b"ORTM")
    return bytes(builder.Output())
