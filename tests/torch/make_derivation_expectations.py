"""Writes what real PyTorch makes of operations that server/torch computes.

Usage: make_derivation_expectations.py OUTPUT.json

Each case has inputs, a tree of operations over them (in the words of
server/model/derivation.h) and the result that Python code, written here as
people write it, gets for the same inputs.
"""

import json
import sys
import warnings

import torch
import torch.nn.functional as F
from make_torch_expectations import DTYPES, FLOATS, WHOLE, random_values, whole


def of(op, *operands, **arguments):
    return {"op": op, "operands": list(operands), **arguments}


def put(index):
    """The leaf for an input."""
    return {"input": index}


def case(name, inputs, tree, result, exact=True):
    return {
        "name": name,
        "inputs": [whole(tensor) for tensor in inputs],
        "tree": tree,
        "result": whole(result),
        "exact": exact,
    }


def movements(dtype, generator):
    """Of random bits, which may be NaNs: none of them may change."""
    values = random_values(dtype, 24, generator)
    tensor = values.view(2, 3, 4)
    other = random_values(dtype, 8, generator).view(2, 1, 4)
    block = random_values(dtype, 4, generator).view(1, 2, 2)
    bits = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}
    kind = bits.get(tensor.dtype.itemsize, tensor.dtype)

    def moved(operation, *tensors):
        return operation(*[t.view(kind) for t in tensors]).view(tensor.dtype)

    def overwritten(base, piece):
        result = base.clone()
        result[1:, 1:, 1:3] = piece
        return result

    index = torch.tensor([2, 0, 0, 1])
    cases = [
        ("permute", of("permute", put(0), dims=[2, 0, 1]), [tensor],
         moved(lambda t: t.permute(2, 0, 1), tensor)),
        ("reshape", of("reshape", put(0), shape=[4, 6]), [tensor],
         tensor.reshape(4, 6)),
        ("reshape what was permuted",
         of("reshape", of("permute", put(0), dims=[2, 1, 0]), shape=[6, 4]), [tensor],
         moved(lambda t: t.permute(2, 1, 0).reshape(6, 4), tensor)),
        ("slice", of("slice", put(0), dim=1, start=1, length=2), [tensor],
         tensor.narrow(1, 1, 2)),
        ("select", of("select", put(0), dim=1, indices=index.tolist()), [tensor],
         moved(lambda t: t.index_select(1, index), tensor)),
        ("expand", of("expand", put(0), shape=[2, 5, 4]), [other],
         moved(lambda t: t.expand(2, 5, 4), other)),
        ("concat", of("concat", put(0), put(1), dim=1), [tensor, other],
         moved(lambda a, b: torch.cat([a, b], 1), tensor, other)),
        ("overwrite", of("overwrite", put(0), put(1), starts=[1, 1, 1]),
         [tensor, block], moved(overwritten, tensor, block)),
        ("replace", of("replace", put(0), put(1), dim=1, indices=[2]),
         [tensor, other],
         moved(lambda t, o: t.index_copy(1, torch.tensor([2]), o), tensor, other)),
    ]  # fmt: skip
    for name, tree, inputs, result in cases:
        yield case(f"{name} {dtype}", inputs, tree, result)


def rand(generator, dtype, *shape):
    kind = getattr(torch, dtype)
    if dtype in WHOLE:
        return torch.randint(0, 2 if dtype == "bool" else 100, shape).to(kind)
    if kind.is_complex:
        return torch.randn(*shape, 2, generator=generator, dtype=torch.float64).view(
            torch.complex128).squeeze(-1).to(kind)  # fmt: skip
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(kind)


def arithmetic_type(*tensors):
    kinds = [t.dtype for t in tensors]
    wide = any(kind in (torch.float64, torch.complex128) for kind in kinds)
    if any(kind.is_complex for kind in kinds):
        return torch.complex128 if wide else torch.complex64
    return torch.float64 if wide else torch.float32


def arithmetic(dtype, generator):
    a = rand(generator, dtype, 5, 7)
    b = rand(generator, "bfloat16", 5, 7)
    kind = arithmetic_type(a)
    x, y = a.to(kind), b.to(kind)
    factors = [0.1, -2.0, 3.3, 0.0, 1.0, 7.5, 1e-3]
    along = torch.tensor(factors, dtype=torch.float64).to(kind)
    weights = [0.3, -1.7, 0.1]
    combined = x * weights[0]
    combined = combined + y * weights[1]
    combined = combined + x * weights[2]
    cases = [
        ("scale", of("scale", put(0), factor=0.1), x * 0.1),
        ("scale_along", of("scale_along", put(0), dim=1, factors=factors), x * along),
        ("sum", of("sum", put(0), dim=0), x.sum(0, keepdim=True)),
        ("mean", of("mean", put(0), dim=1), x.mean(1, keepdim=True)),
        ("combine", of("combine", put(0), put(1), put(0), weights=weights), combined),
        ("matmul", of("matmul", put(0), of("permute", put(1), dims=[1, 0])), x @ y.T),
        ("cast", of("cast", of("scale", put(0), factor=3.0), dtype="float16"),
         (x * 3.0).to(torch.float16)),
    ]  # fmt: skip
    for name, tree, result in cases:
        # Whole numbers of 8 bits and the like are summed as floats, too.
        yield case(f"{name} {dtype}", [a, b], tree, result)


def interpolations(dtype, generator):
    line = rand(generator, dtype, 2, 3, 7)
    image = rand(generator, dtype, 2, 3, 7, 5)
    kind = arithmetic_type(image)
    for sizes in [[3], [7], [20]]:
        for align in [False, True]:
            tree = of("interpolate", put(0), sizes=sizes, mode="linear",
                      align_corners=align, antialias=False)  # fmt: skip
            result = F.interpolate(line.to(kind), sizes, mode="linear",
                                   align_corners=align)  # fmt: skip
            yield case(f"linear {sizes} {align} {dtype}", [line], tree, result)
    for mode in ["bilinear", "bicubic"]:
        for sizes in [[3, 2], [7, 5], [14, 14], [3, 11]]:
            for align in [False, True]:
                for antialias in [False, True]:
                    tree = of("interpolate", put(0), sizes=sizes, mode=mode,
                              align_corners=align, antialias=antialias)  # fmt: skip
                    result = F.interpolate(image.to(kind), sizes, mode=mode,
                                           align_corners=align,
                                           antialias=antialias)  # fmt: skip
                    yield case(f"{mode} {sizes} {align} {antialias} {dtype}",
                               [image], tree, result)  # fmt: skip


def position_embedding(generator):
    """A grid of tokens behind a class token, resized as vision models do it."""
    tokens = rand(generator, "float32", 1, 1 + 14 * 14, 24)
    grid = tokens[:, 1:].reshape(1, 14, 14, 24).permute(0, 3, 1, 2)
    grid = F.interpolate(grid, size=[16, 16], mode="bicubic", antialias=True)
    grid = grid.permute(0, 2, 3, 1).reshape(1, 256, 24)
    tree = of("slice", put(0), dim=1, start=1, length=196)
    tree = of("permute", of("reshape", tree, shape=[1, 14, 14, 24]), dims=[0, 3, 1, 2])
    tree = of("interpolate", tree, sizes=[16, 16], mode="bicubic",
              align_corners=False, antialias=True)  # fmt: skip
    tree = of("reshape", of("permute", tree, dims=[0, 2, 3, 1]), shape=[1, 256, 24])
    tree = of("concat", of("slice", put(0), dim=1, start=0, length=1), tree, dim=1)
    yield case("position embedding", [tokens], tree,
               torch.cat([tokens[:, :1], grid], dim=1))  # fmt: skip


def resampled_patch(kernel, height, width):
    """FlexiViT's: B+ k, where B resizes flattened patches."""
    old_height, old_width = kernel.shape[2:]
    pixels = torch.eye(old_height * old_width)
    pixels = pixels.reshape(-1, 1, old_height, old_width)
    resized = F.interpolate(pixels, [height, width], mode="bicubic", antialias=True)
    matrix = resized.reshape(old_height * old_width, height * width).T
    flat = kernel.float().reshape(*kernel.shape[:2], -1)
    result = flat @ torch.linalg.pinv(matrix)
    return result.reshape(*kernel.shape[:2], height, width)


def patches(generator):
    for dtype in ["float32", "float16"]:
        for size in [(8, 8), (16, 16), (20, 12), (32, 32)]:
            kernel = rand(generator, dtype, 6, 3, 16, 16)
            tree = of("resample_patch", put(0), height=size[0], width=size[1])
            result = (
                kernel.float() if size == (16, 16) else resampled_patch(kernel, *size)
            )
            yield case(f"resample_patch {size} {dtype}", [kernel], tree, result,
                       exact=False)  # fmt: skip


def slerp(a, b, t):
    a, b = a.double(), b.double()
    cosine = torch.dot(a.flatten(), b.flatten()) / (a.norm() * b.norm())
    if not abs(cosine) <= 0.9995:
        return (1 - t) * a + t * b
    angle = torch.acos(cosine)
    return (torch.sin((1 - t) * angle) * a + torch.sin(t * angle) * b) / angle.sin()


def slerps(generator):
    a = rand(generator, "float32", 30, 4)
    for name, b in [
        ("other", rand(generator, "float32", 30, 4)),
        ("parallel", a * 2),
        ("opposite", -a),
        ("zero", torch.zeros(30, 4)),
    ]:
        for t in [0.0, 0.25, 1.0]:
            tree = of("slerp", put(0), put(1), t=t)
            yield case(f"slerp {name} {t}", [a, b], tree, slerp(a, b, t).float(),
                       exact=False)  # fmt: skip


def cast_operands(generator):
    """Blocks of another dtype take that of what they are put in."""
    base = rand(generator, "float16", 4, 3)
    block = rand(generator, "float64", 2, 3) * 1e4
    result = base.clone()
    result[1:3] = block
    tree = of("overwrite", put(0), put(1), starts=[1, 0])
    yield case("overwrite casts", [base, block], tree, result)
    tree = of("replace", put(0), put(1), dim=0, indices=[2, 0])
    result = base.index_copy(0, torch.tensor([2, 0]), block.to(torch.float16))
    yield case("replace casts", [base, block], tree, result)


def cases():
    generator = torch.Generator().manual_seed(4)
    for dtype in DTYPES:
        yield from movements(dtype, generator)
        yield from arithmetic(dtype, generator)
    for dtype in [*FLOATS, "uint8"]:
        yield from interpolations(dtype, generator)
    yield from position_embedding(generator)
    yield from patches(generator)
    yield from slerps(generator)
    yield from cast_operands(generator)


def main():
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(list(cases()), file)


if __name__ == "__main__":
    main()
