"""Random numbers from raw random bits, the same on every Python, numpy and processor.

numpy promises the raw bits of a bit generator for ever, and the methods of `Generator` only for one
build. So bits are counted here: the number of ones in 128 fair bits is a binomial, as good as a
normal for what is simulated (excess kurtosis -0.016, reach 11 standard deviations).
"""

import numpy as np

WORDS_PER_NORMAL = 3
_SEED_BITS = (1 << 64) - 1
_NORMAL_SCALE = 1.0 / float(np.sqrt(32.0 + 1.0 / 12.0))
_SHIFTS = (1, 2, 3)


def bit_stream(seed: int, *path: int) -> np.random.SFC64:
    """Return the stream of raw bits that belongs to a seed and a path of numbers."""
    return np.random.SFC64(np.random.SeedSequence([seed & _SEED_BITS, *path]))


def uniforms(stream: np.random.SFC64, n: int) -> np.ndarray:
    """Return `(n,)` float64 in [0, 1)."""
    return (stream.random_raw(n) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normals(stream: np.random.SFC64, n: int) -> np.ndarray:
    """Return `(n,)` float64 of mean 0 and variance 1.

    A count of ones in 128 bits, made continuous by a uniform number as wide as a count.
    """
    first, second, third = stream.random_raw(WORDS_PER_NORMAL * n).reshape(WORDS_PER_NORMAL, n)
    ones = np.bitwise_count(first) + np.bitwise_count(second)
    between = (third >> np.uint64(40)).astype(np.float64) * 2.0**-24
    return (ones + (between - 64.5)) * _NORMAL_SCALE


def fill_with_noise(stream: np.random.SFC64, out: np.ndarray) -> None:
    """Fill `out`, `(n,)` uint8, with binomials of 8 fair bits: mean 4, variance 2.

    Random bits are dear, so only a quarter of the pixels get fresh ones; the others get the
    exclusive or of two of those. Any two pixels are independent, which is all that a mean, a
    spectrum or a tracker can see, and it is more than twice as fast.
    """
    quarter = max(-(-out.size // 32), 8)
    fresh = stream.random_raw(quarter)
    words = np.empty((4, quarter), np.uint64)
    words[0] = fresh
    for row, shift in zip(words[1:], _SHIFTS, strict=True):
        np.bitwise_xor(fresh[:-shift], fresh[shift:], out=row[:-shift])
        np.bitwise_xor(fresh[-shift:], fresh[:shift], out=row[-shift:])
    np.bitwise_count(words.reshape(-1).view(np.uint8)[: out.size], out=out)
