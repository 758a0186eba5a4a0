"""The page of the app and what its controls do."""

import logging
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from desra.app.guard import RefuseForeign
from desra.app.inspection import Choice, Inspected, Inspector, shown, shown_overlay
from desra.data.embedded import make
from desra.io.images import write_image
from desra.io.listing import IMAGE_SUFFIXES
from desra.options.app import AppOptions
from desra.registry import import_modules
from desra.utils.errors import InputError

logger = logging.getLogger("desra")


_AGE = 3600  # seconds that a session without a click, and its pictures, are kept
_SESSIONS = 16  # the oldest gives way
_UPLOAD = "200mb"
_UNITS = {
    "px": "pixels",
    "px_at_x4": "pixels at scale 4",
    "px_per_megapixel": "pixels per megapixel",
}


@dataclass(frozen=True, eq=False)
class Session:
    """What is kept for a reader: the image, its picture of GAN-SR, and a folder for the others."""

    seen: Inspected
    folder: tempfile.TemporaryDirectory[str]  # goes with the session

    def save(self, kind: str, pixels: Any, alpha: Any = None) -> str:
        """Write a PNG of that kind for the page, in place of an earlier one; its path."""
        path = Path(self.folder.name) / f"{self.seen.artifacts.images.stem}_{kind}.png"
        write_image(path, pixels, alpha)
        return str(path)


def _size(image: Any) -> str:
    return f"{image.shape[1]} x {image.shape[0]}"


def _gradio() -> Any:
    try:
        import gradio  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError("the app needs Gradio; run: pip install 'desra[app]'") from error
    return gradio


def _said(error: Exception) -> str:
    """Return what to show of an error; one that is no fault of the input goes to the log too."""
    if isinstance(error, InputError):
        return str(error)
    logger.error("the app failed at an image", exc_info=error)
    return f"This failed: {type(error).__name__}: {error} (more in the app's log)"


class Actions:
    """What the page does when something is chosen, moved or pressed, as functions of values.

    Args:
        inspector: networks and detector.
    """

    def __init__(self, inspector: Inspector) -> None:
        self._inspector = inspector

    def inspect(self, path: str) -> list[Any]:
        """Run the networks on an image file.

        Returns:
            None, which empties the field for files for the next one; the session; what to say of
            the image; paths of the pictures lq, gan, mse and map. Of a file that can't be used,
            or of which anything fails, only the sentence on why.
        """
        name = Path(path).name
        try:
            return self._inspect(path, name)
        except Exception as error:  # else the page would go on showing the image before
            return [None, None, _said(error).replace(path, name), None, None, None, None]

    def _inspect(self, path: str, name: str) -> list[Any]:
        seen = self._inspector.inspect(path)
        session = Session(seen, tempfile.TemporaryDirectory(prefix="desra_app_"))
        views = {
            "lq": seen.lq,
            "gan": seen.artifacts.gan,
            "mse": seen.artifacts.mse,
            "map": seen.map,
        }
        small = {kind: shown(image) for kind, image in views.items()}
        said = f"{name}: x{seen.artifacts.images.factor} is {_size(seen.artifacts.gan)} pixels"
        if small["gan"].shape != seen.artifacts.gan.shape:
            said += f", shown as {_size(small['gan'])}"
        said += f"; networks and map took {seen.seconds:.2f} s"
        paths = [session.save(f"{kind}_view", image) for kind, image in small.items()]
        return [None, session, "; ".join([said, *seen.notes]), *paths]

    def judge(self, session: Session | None, *values: float) -> list[Any]:
        """Make mask and pictures for what the sliders say, in the order of `Choice`.

        Returns:
            What was found; the settings as YAML; paths of the pictures mask, overlay and blended.
        """
        if session is None:
            return ["No image: drop one, or choose one.", "", None, None, None]
        try:
            return self._judge(session, Choice(*values))
        except Exception as error:  # else the page would go on showing what was found before
            return [_said(error), "", None, None, None]

    def _judge(self, session: Session, choice: Choice) -> list[Any]:
        verdict = self._inspector.judge(session.seen, choice)
        settings = self._inspector.as_yaml(choice)
        views = {
            "mask": shown(verdict.mask),
            "overlay": shown_overlay(shown(session.seen.artifacts.gan), verdict.mask),
            "blended": shown(verdict.blended),
        }
        paths = [session.save(f"{kind}_view", image) for kind, image in views.items()]
        return [verdict.sentence, settings, *paths]

    def save(self, kind: str, session: Session | None, *values: float) -> str | None:
        """Write the mask or the blended image, ``kind``, in full size; its path."""
        if session is None:
            return None
        verdict = self._inspector.judge(session.seen, Choice(*values))
        if kind == "mask":
            return session.save(kind, verdict.mask)
        return session.save(kind, verdict.blended, session.seen.alpha)


def build(inspector: Inspector, pictures: list[Path]) -> Any:
    """Make the page.

    Args:
        inspector: networks and detector.
        pictures: LR images to choose from, at least one; the first is shown at once.

    Returns:
        A ``gradio.Blocks``.

    Raises:
        InputError: Gradio is not installed.
    """
    gr = _gradio()
    actions, first = Actions(inspector), inspector.first_choice
    unit = _UNITS[inspector.opt.mask.min_area_unit]

    def pick(event: gr.SelectData) -> list[Any]:  # pyright: ignore[reportInvalidTypeForm]
        return actions.inspect(str(pictures[event.index]))

    def picture(kind: str, title: str, **place: Any) -> Any:
        return gr.Image(
            label=title,
            type="filepath",
            format="png",
            interactive=False,
            buttons=["fullscreen"],
            elem_id=kind,
            **place,
        )

    private: dict[str, Any] = {"api_visibility": "private"}  # for people, not for programs
    page = gr.Blocks(title="DeSRA", analytics_enabled=False, delete_cache=(_AGE, 2 * _AGE))
    with page:
        gr.Markdown(
            "# DeSRA: where does the GAN invent?\n"
            "Both networks run once for each image. The map is low (dark) where their texture "
            "differs; what lies below the threshold is masked, and MSE-SR takes its place."
        )
        with gr.Row():
            with gr.Column(min_width=240, scale=2):
                file = gr.File(label="Drop an LR image", height=150, file_types=[*IMAGE_SUFFIXES])
            with gr.Column(min_width=300, scale=4):
                gallery = gr.Gallery(
                    [str(path) for path in pictures],
                    label="or choose one",
                    columns=6,
                    height=150,
                    allow_preview=False,
                    object_fit="cover",
                    elem_id="pictures",
                    interactive=False,
                    buttons=[],
                )
            lq = picture("lq", "Input", min_width=150, height=150)
        about = gr.Textbox(label="Image", interactive=False, elem_id="about")
        with gr.Row():
            area = max(20000.0, 5 * first.min_area)
            ranges = {
                "threshold": ("Threshold of the map", first.threshold, 1.0, 0.01),
                "area": (f"Minimum area ({unit})", first.min_area, area, 50.0),
                "strength": ("Strength", first.strength, 1.0, 0.05),
                "feather": ("Feather (pixels)", first.feather, max(32.0, first.feather), 1.0),
            }
            sliders = [
                gr.Slider(0, most, value, step=step, label=label, min_width=240, elem_id=name)
                for name, (label, value, most, step) in ranges.items()
            ]
        result = gr.Textbox(label="Found", interactive=False, elem_id="found")
        titles = {
            "overlay": "Mask on GAN-SR",
            "gan": "GAN-SR",
            "blended": "GAN-SR, artifacts replaced",
            "mse": "MSE-SR",
            "map": "Map D (dark: texture differs)",
            "mask": "Mask",
        }
        with gr.Row():
            views = {kind: picture(kind, title, min_width=300) for kind, title in titles.items()}
        session = gr.State(time_to_live=_AGE)
        inputs = [session, *sliders]
        with gr.Row():
            for kind, title in {"mask": "mask", "blended": "blended image"}.items():
                button = gr.Button(f"Download the {title} (PNG)", elem_id=f"save_{kind}")
                # Written when it is asked for; a button of Gradio hands out what it held before.
                link = gr.DownloadButton(visible="hidden", elem_id=f"link_{kind}")
                hand_out = f"() => document.querySelector('#link_{kind}').click()"
                save = partial(actions.save, kind)
                button.click(save, inputs, link, **private).success(None, js=hand_out, **private)
        with gr.Accordion("The same settings for desra.detect", open=False):
            settings = gr.Code(language="yaml", interactive=False, elem_id="settings")

        made = [file, session, about, lq, *(views[kind] for kind in ("gan", "mse", "map"))]
        judged = [result, settings, *(views[kind] for kind in ("mask", "overlay", "blended"))]
        quiet: dict[str, Any] = {"show_progress": "hidden", **private}
        at_first = partial(actions.inspect, str(pictures[0]))
        seen = [
            file.upload(actions.inspect, file, made, **private),
            gallery.select(pick, None, made, **private),
            page.load(at_first, None, made, **private),
        ]
        for event in seen:
            event.then(actions.judge, inputs, judged, **quiet)
        for slider in sliders:
            slider.change(actions.judge, inputs, judged, trigger_mode="always_last", **quiet)
    return page


def launch(page: Any, opt: AppOptions, wait: bool = True) -> str:
    """Serve a page.

    Args:
        page: of `build`.
        opt: host and port.
        wait: until it is stopped; False: go on, and ``page.close()`` ends it.

    Returns:
        Its address.

    Raises:
        InputError: the port is taken, or the host is none of this machine.
    """
    gr = _gradio()
    logging.getLogger("httpx").setLevel(logging.WARNING)  # Gradio asks itself whether it is up
    theme = gr.themes.Default(  # the fonts are Google's if nothing is said
        font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"]
    )
    try:
        _, address, _ = page.launch(
            server_name=opt.host,
            server_port=opt.port or None,
            share=False,
            inbrowser=False,
            prevent_thread_lock=True,
            quiet=True,
            show_error=False,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            run_history=False,
            enable_monitoring=False,
            footer_links=[],
            max_file_size=_UPLOAD,
            state_session_capacity=_SESSIONS,
            theme=theme,
            app_kwargs={"middleware": [(RefuseForeign, (), {})]},
        )
    except OSError as error:
        raise InputError(
            f"host, port: {opt.host} and {opt.port or 'any port'} cannot be listened on ({error}); "
            "choose another port (--port)"
        ) from error
    logger.info("open %s in a browser; Ctrl-C ends it", address)
    if wait:
        try:
            page.block_thread()
        finally:  # Ctrl-C, or SIGTERM, which the command line makes an exception
            page.close(verbose=False)
    return address


def app(opt: AppOptions) -> None:
    """Look at artifacts in a browser, and move the settings.

    Args:
        opt: the options.

    Raises:
        InputError: wrong options, Gradio is not installed, or the port is taken.
    """
    _gradio()  # before anything is loaded
    import_modules(opt.imports)
    inspector = Inspector(opt)
    with tempfile.TemporaryDirectory(prefix="desra_app_") as folder:
        pictures: list[Path] = []
        for stem, (lq, _) in make("heldout").items():
            pictures.append(Path(folder) / f"{stem}.png")
            write_image(pictures[-1], lq)
        launch(build(inspector, pictures), opt)
