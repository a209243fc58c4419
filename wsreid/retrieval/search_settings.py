"""Which index finds ranked lists, and how large it is made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from wsreid.errors import ConfigError

Kind = Literal["exact", "ivf", "pq", "hnsw"]
GPU_KINDS = ("ivf", "pq")  # FAISS has no HNSW on the GPU
GPU_CODES = (1, 2, 3, 4, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64)  # code lengths that FAISS knows on the GPU
EF: Final = 128  # candidates of a search in hnsw where none are named


@dataclass(frozen=True)
class SearchSettings:
    """How the best gallery images of a query are found. None = chosen from the size of the gallery.

    No metric ever comes from an index: it serves ranked lists and search.

    Attributes:
        kind: `exact` compares a query with every image. `ivf` sorts the gallery into cells and looks into the nearest
            ones (Sivic and Zisserman 2003). `pq` does the same with images compressed to `m` bytes (Jegou et al.
            2011). `hnsw` walks a graph of neighbours (Malkov and Yashunin 2018); building it takes longest, and with
            several threads its links, and so its lists, differ a little between builds.
        nlist: Number of cells of `ivf` and `pq`; None = a power of two near sqrt(G).
        nprobe: Cells that are looked into; None = an eighth of them, at least 16.
        m: Sub-vectors that `pq` cuts a feature into, a divisor of its dimension; None = the greatest up to 64.
        bits: Bits of a sub-vector's code, 1 to 8; None = 8, less for a gallery of under 256 images.
        links: Neighbours that a node of `hnsw` keeps.
        ef_construction: Candidates that `hnsw` looks at for a new node.
        ef: Candidates that `hnsw` looks at in a search; None = 128, at least the length of the list.
        refine: The index proposes `refine` times as many images as are asked for, and exact scores choose among them.
        gpu: Whether FAISS runs on the GPU; None = where the features are compared on one and FAISS can use it.
        temp_memory_mb: Scratch memory that FAISS may take on the GPU.
    """

    kind: Kind = "exact"
    nlist: int | None = None
    nprobe: int | None = None
    m: int | None = None
    bits: int | None = None
    links: int = 32
    ef_construction: int = 80
    ef: int | None = None
    refine: int = 4
    gpu: bool | None = None
    temp_memory_mb: int = 256

    def __post_init__(self) -> None:
        """Checks the options.

        Raises:
            ConfigError: An option is out of its range.
        """
        if self.kind not in get_args(Kind):
            raise ConfigError(f"index={self.kind!r}: expected one of {', '.join(get_args(Kind))}.")
        for name in ("nlist", "nprobe", "m", "bits", "links", "ef_construction", "ef", "refine", "temp_memory_mb"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"index: {name}={value}, expected at least 1.")
        if self.bits is not None and self.bits > 8:
            raise ConfigError(f"index: bits={self.bits}, expected 1 to 8.")
        if self.links < 2:
            raise ConfigError(f"index: links={self.links}, expected at least 2.")
        if self.gpu and self.kind == "hnsw":
            raise ConfigError("index: FAISS has no hnsw on the GPU. Take ivf or pq, or leave gpu out.")

    def cells(self, rows: int) -> int:
        """Number of cells for a gallery of `rows` images."""
        wanted = self.nlist or 2 ** max(0, round(rows.bit_length() / 2))
        return min(wanted, rows)

    def probes(self, rows: int) -> int:
        """Number of cells to look into."""
        cells = self.cells(rows)
        return min(self.nprobe or max(16, cells // 8), cells)

    def codes(self, width: int) -> int:
        """Number of sub-vectors of a feature of dimension `width`.

        Raises:
            ConfigError: `m` does not divide the dimension.
        """
        if self.m is None:
            return max(m for m in GPU_CODES if width % m == 0)
        if width % self.m:
            raise ConfigError(f"index: m={self.m} does not divide the features' dimension {width}.")
        return self.m

    def code_bits(self, rows: int) -> int:
        """Bits of a sub-vector's code; each of its values needs an image to be learnt from.

        Raises:
            ConfigError: The gallery is too small for `bits`.
        """
        most = min(8, rows.bit_length() - 1)
        if most < 1:
            raise ConfigError(f"index: pq needs at least 2 gallery images, there are {rows}. Take exact.")
        if self.bits is not None and self.bits > most:
            raise ConfigError(f"index: bits={self.bits} needs {2**self.bits} gallery images, there are {rows}.")
        return self.bits or most

    def factory(self, rows: int, width: int) -> str:
        """FAISS' `index_factory` string. Features lie in the index as float16, those of `pq` as codes.

        Args:
            rows: Size of the gallery.
            width: Dimension of the features.

        Returns:
            Such as `IVF1024,SQfp16`.

        Raises:
            ConfigError: The options do not fit the gallery.
        """
        if self.kind == "ivf":
            return f"IVF{self.cells(rows)},SQfp16"
        if self.kind == "pq":
            return f"IVF{self.cells(rows)},PQ{self.codes(width)}x{self.code_bits(rows)}"
        if self.kind == "hnsw":
            return f"HNSW{self.links},SQfp16"
        raise ConfigError("index: exact search needs no index.")


def search_settings(settings: SearchSettings | str) -> SearchSettings:
    """Settings from themselves, or from the name of a kind.

    Args:
        settings: Either.

    Returns:
        The settings.

    Raises:
        ConfigError: There is no such kind.
    """
    if isinstance(settings, SearchSettings):
        return settings
    return SearchSettings(kind=settings)  # type: ignore[arg-type]  # checked there
