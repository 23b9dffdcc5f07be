"""Values in memory within a limit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from nersemble_async.cache.ram_cache import RamCache


def test_the_least_recently_used_is_dropped() -> None:
    cache: RamCache[str] = RamCache(30)
    for name in "abc":
        cache.put(name, name, 10)
    assert cache.get("a") == "a"
    cache.put("d", "d", 10)
    assert [cache.get(name) for name in "abcd"] == ["a", None, "c", "d"]
    assert cache.held_bytes == 30


def test_a_large_value_displaces_several_and_a_too_large_one_none() -> None:
    cache: RamCache[str] = RamCache(30)
    for name in "abc":
        cache.put(name, name, 10)
    cache.put("larger than all", "", 31)
    assert cache.get("larger than all") is None
    assert cache.held_bytes == 30
    cache.put("large", "large", 25)
    assert [cache.get(name) for name in "abc"] == [None] * 3
    assert cache.held_bytes == 25


def test_replacing_counts_once_and_clearing_frees() -> None:
    cache: RamCache[int] = RamCache(30)
    for size in (10, 20, 5):
        cache.put("a", size, size)
    assert (cache.get("a"), cache.held_bytes) == (5, 5)
    cache.clear()
    assert (cache.get("a"), cache.held_bytes) == (None, 0)


def test_nothing_is_kept_without_room() -> None:
    cache: RamCache[str] = RamCache(0)
    cache.put("a", "a", 1)
    assert cache.get("a") is None


def test_threads_keep_the_books() -> None:
    cache: RamCache[int] = RamCache(100)

    def work(number: int) -> None:
        for step in range(500):
            key = (number + step) % 23
            assert cache.get(key) in (None, key)
            cache.put(key, key, key + 1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    held = sum(key + 1 for key in range(23) if cache.get(key) is not None)
    assert cache.held_bytes == held <= 100
