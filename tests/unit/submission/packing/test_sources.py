"""What a folder of predictions becomes, by names alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nersemble_async.submission.packing.picture_order import PictureOrderError, order_pictures
from nersemble_async.submission.packing.sources import PackPlan, SourceSort, plan_pack
from tests.support.submissions import Lengths

PATH = "388/GLASSES/cam_222200046.mp4"
PLACE = "388/GLASSES/cam_222200046"
IMAGE = "17/EMO-1-shout+laugh_156_221501007"


def plan(*files: str, n_frames: int = 3) -> PackPlan:
    return plan_pack("nvs", files, Lengths(n_frames))


def reasons(*files: str, n_frames: int = 3) -> dict[str, str]:
    return {problem.path: problem.reason for problem in plan(*files, n_frames=n_frames).problems}


def mesh_reasons(*files: str) -> dict[str, str]:
    return {problem.path: problem.reason for problem in plan_pack("svfr", files, None).problems}


# ---- the order of pictures ----------------------------------------------------------------------


@given(st.integers(0, 1), st.integers(1, 200), st.sampled_from(["{}.png", "frame_{:05d}.jpg"]))
def test_pictures_come_in_the_order_of_their_numbers(start: int, n: int, pattern: str) -> None:
    names = [pattern.format(start + index) for index in range(n)]
    assert order_pictures(sorted(names)) == names


def test_numbers_that_are_the_same_in_all_names_do_not_matter() -> None:
    names = [f"cam_222200046_v2_{index}.png" for index in range(12)]
    assert order_pictures(set(names)) == names


def test_numbers_may_have_the_gaps_that_the_timesteps_have() -> None:
    names = ["3.png", "6.png", "12.png"]
    assert order_pictures(names, [3, 6, 12]) == names
    with pytest.raises(PictureOrderError, match=r"2 numbers are missing between 3.png and 6.png"):
        order_pictures(names, [0, 1, 2])


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["0.png", "1.png", "3.png"], "1 number is missing between 1.png and 3.png"),
        (["0.png", "frame_1.png"], "0.png and frame_1.png are named in two ways"),
        (["0.png", "1.jpg"], "0.png and 1.jpg are named in two ways"),
        (["a1_1.png", "a2_2.png"], "a1_1.png and a2_2.png differ in more than one number"),
        (["01.png", "1.png", "2.png"], "01.png and 1.png have the same number"),
        (["01.png", "1.png"], "01.png and 1.png have the same number"),
        (["a.png", "b.png"], "a.png and b.png are named in two ways"),
    ],
)
def test_names_that_tell_no_order_are_refused(names: list[str], told: str) -> None:
    with pytest.raises(PictureOrderError, match=told):
        order_pictures(names)


# ---- sources ------------------------------------------------------------------------------------


def test_a_folder_of_pictures_and_a_video_are_sources_whatever_the_padding() -> None:
    found = plan(
        *(f"0388/GLASSES/cam_222200046/{index}.png" for index in (2, 0, 1)),
        "422/EXP-2-eyes/cam_222200037.MKV",
    )
    assert found.problems == ()
    pictures, video = found.sources[PATH], found.sources["422/EXP-2-eyes/cam_222200037.mp4"]
    assert (pictures.sort, pictures.place) == (SourceSort.PICTURES, f"0{PLACE}")
    assert pictures.paths == tuple(f"0{PLACE}/{index}.png" for index in range(3))
    assert (video.sort, video.place) == (SourceSort.VIDEO, "422/EXP-2-eyes/cam_222200037.MKV")


def test_meshes_lie_in_folders_named_as_the_dataset_s_or_the_submission_s() -> None:
    found = plan_pack(
        "svfr",
        [
            f"{IMAGE}/mesh_posed.obj",
            f"{IMAGE}/landmarks_posed.npy",
            "017/EXP-3-cheeks+nose_78_222200045/mesh_posed.ply",
            "017/EXP-3-cheeks+nose_078_222200045/mesh_neutral.ply",
        ],
        None,
    )
    assert found.problems == ()
    assert list(found.sources) == [
        "017/EMO-1-shout+laugh_156_221501007/mesh_posed.ply",
        "017/EXP-3-cheeks+nose_078_222200045/mesh_posed.ply",
        "017/EMO-1-shout+laugh_156_221501007/landmarks_posed.npy",
        "017/EXP-3-cheeks+nose_078_222200045/mesh_neutral.ply",
    ]
    mesh = found.sources["017/EMO-1-shout+laugh_156_221501007/mesh_posed.ply"]
    assert mesh.landmarks == f"{IMAGE}/landmarks_posed.npy"


def test_what_is_no_prediction_is_ignored_and_listed() -> None:
    junk = (".DS_Store", "388/GLASSES/cam_222200046/Thumbs.db", "388/GLASSES/log.txt", "notes.md")
    more = ("388/GLASSES/depth/0.png", "388/GLASSES/cam_222200046.json", "screenshot.png")
    found = plan(*junk, *more, f"{PLACE}/0.png", f"{PLACE}/0.exr", n_frames=1)
    assert found.problems == ()
    assert list(found.sources) == [PATH]
    assert found.ignored == tuple(sorted((*junk, *more, f"{PLACE}/0.exr")))


# ---- what is wrong with it ----------------------------------------------------------------------


def test_another_number_of_pictures_and_a_gap_are_told_together() -> None:
    told = reasons(f"{PLACE}/0.png", f"{PLACE}/2.png")[PLACE]
    assert told == (
        "it holds 2 pictures, the sequence has 3 timesteps; 1 number is missing between 0.png and "
        "2.png; frames are numbered one after another"
    )


def test_two_sources_of_one_prediction_are_refused() -> None:
    told = reasons(f"{PLACE}/0.png", f"{PLACE}.mp4", n_frames=1)
    assert "388/GLASSES/cam_222200046 and 388/GLASSES/cam_222200046.mp4" in " ".join(told.values())
    twice = mesh_reasons(f"{IMAGE}/mesh_posed.ply", f"0{IMAGE}/mesh_posed.ply")
    assert "leave one of them out" in " ".join(twice.values())


def test_kinds_of_files_that_have_to_be_converted_are_named() -> None:
    assert reasons(f"{PLACE}/0.exr")[PLACE].startswith("its pictures are neither PNG nor JPEG")
    assert "write .mp4 or .mov" in reasons(f"{PLACE}.gif")[f"{PLACE}.gif"]
    assert mesh_reasons(f"{IMAGE}/mesh_posed.glb") == {
        f"{IMAGE}/mesh_posed.glb": "a file of this kind cannot be packed: write .ply or .obj"
    }


def test_landmarks_need_a_mesh() -> None:
    told = mesh_reasons(f"{IMAGE}/landmarks_posed.npy")
    assert told == {
        f"{IMAGE}/landmarks_posed.npy": (
            f"landmarks without a mesh: there is no 0{IMAGE}/mesh_posed.ply"
        )
    }


@pytest.mark.parametrize(
    ("file", "place", "told"),
    [
        (
            "388/GLASSES/cam_222200042/0.png",
            "388/GLASSES/cam_222200042",
            (
                "found train camera 222200042; expected one of the cameras "
                "222200046, 222200037, 222200039"
            ),
        ),
        (
            "388/GLASES/cam_222200037.mp4",
            "388/GLASES/cam_222200037.mp4",
            (
                "found sequence GLASES of participant 388; expected the sequence GLASSES; "
                "did you mean 388/GLASSES/cam_222200037?"
            ),
        ),
        (
            "388/GLASSES/cam_22220037/0.png",
            "388/GLASSES/cam_22220037",
            (
                "found camera 22220037; expected one of the cameras "
                "222200046, 222200037, 222200039; did you mean 388/GLASSES/cam_222200037?"
            ),
        ),
        (
            "388/GLASSES/222200037.mp4",
            "388/GLASSES/222200037.mp4",
            "did you mean 388/GLASSES/cam_222200037?",
        ),
        (
            "GLASSES/cam_222200037.mp4",
            "GLASSES/cam_222200037.mp4",
            "did you mean 388/GLASSES/cam_222200037?",
        ),
        (
            "399/GLASSES/cam_222200037.mp4",
            "399/GLASSES/cam_222200037.mp4",
            "found participant 399; expected one of the participants 388, 422, 443, 445, 475",
        ),
    ],
)
def test_what_looks_like_a_prediction_is_not_passed_over(file: str, place: str, told: str) -> None:
    found = reasons(file)
    assert list(found) == [place]
    assert found[place].startswith(told)


def test_a_folder_around_all_is_told_once() -> None:
    told = reasons("renders/388/GLASSES/cam_222200037.mp4", "renders/388/GLASSES/cam_222200046.mp4")
    assert list(told.values()) == [
        "2 predictions lie in renders/, deeper than in a submission: give that folder as SOURCE"
    ]


def test_a_copy_of_what_is_there_is_ignored() -> None:
    copy = "old/388/GLASSES/cam_222200046.mp4"
    found = plan(copy, f"{PLACE}.mp4")
    assert found.problems == ()
    assert found.ignored == (copy,)


def test_a_mesh_of_an_image_that_the_benchmark_has_not_is_told() -> None:
    told = mesh_reasons("017/EMO-1-shout+laugh_155_221501007/mesh_posed.ply")
    assert "expected one of the benchmark's images" in " ".join(told.values())


@given(st.lists(st.text(st.sampled_from("0123 /.camGLSE_mp4ngply"), min_size=1), max_size=8))
def test_no_names_break_it(files: list[str]) -> None:
    for task in ("nvs", "svfr"):
        found = plan_pack(task, set(files), Lengths(2))
        places = {problem.path for problem in found.problems}
        used = {path for source in found.sources.values() for path in source.paths}
        assert used.isdisjoint(found.ignored)
        assert used.isdisjoint(places)
