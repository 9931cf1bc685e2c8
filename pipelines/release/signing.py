"""Which signer a city chose (city.yaml, `signing`), and signing by a device or tool outside: 密码机, a token, OpenSSL.

The private key of SM2 is never in this process: a program that the city names gets the message on its standard input
and writes the signature (DER) to its standard output. Belongs here: asking it, and refusing what it answers wrongly.
Does not belong here: keys of this installation (register/signer), how a signature is checked (check).
"""

import base64
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from cryptography.hazmat.primitives.serialization import Encoding

from pipelines.contracts.forms.city import CityForm, DeviceForm
from pipelines.messages import CitylakeError
from pipelines.register.signer import SIGNING, Ed25519Signer, Signer
from pipelines.release.check import public_key, signed_with
from pipelines.settings import Settings

SECONDS = 10
"""That a signature may take: a run waits for it."""
FOLDER = "signing"
"""In `secrets`: where the program runs, and where its own files are. Those beside it are not its business."""
GIVEN = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "TMPDIR")
"""Of our environment, with LC_*; the rest holds passwords of the register and of sources."""
MOST_TOLD = 200
"""Characters of what a program says of its failure: it may print what it was given, for ever."""


class DeviceSigner:
    """Signs by a program. Every answer is checked with the public key before it is used.

    Raises CitylakeError for a public key that is none.
    """

    def __init__(self, form: DeviceForm, folder: Path, former: Sequence[Signer] = ()) -> None:
        self.algorithm: str = form.algorithm
        self.former = former
        self._command, self._folder = form.command, folder
        try:
            self._key = public_key(form.publicKey.encode())
        except ValueError as error:
            raise CitylakeError("signing.bad_key", problem=error) from error

    def sign(self, message: bytes) -> bytes:
        """The signature in DER. Raises CitylakeError if the program is not there, fails, or signs with another key."""
        program = self._command[0]
        given = {name: value for name, value in os.environ.items() if name in GIVEN or name.startswith("LC_")}
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            done = subprocess.run(
                self._command,
                input=message,
                capture_output=True,
                cwd=self._folder,
                env=given,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise CitylakeError("signing.slow", program=program, seconds=SECONDS) from error
        except OSError as error:
            raise CitylakeError("signing.failed", program=program, problem=error.strerror or "?") from error
        if done.returncode:
            problem = _told(done.stderr) or f"exit {done.returncode}"
            raise CitylakeError("signing.failed", program=program, problem=problem)
        if not signed_with(self.algorithm, self._key, done.stdout, message):
            raise CitylakeError("signing.not_good", program=program)
        return done.stdout

    def public_key(self, encoding: Encoding) -> bytes:
        """The public key as PEM or DER."""
        if encoding is Encoding.DER:
            return self._key
        text = base64.b64encode(self._key).decode()
        lines = [text[start : start + 64] for start in range(0, len(text), 64)]
        return "\n".join(["-----BEGIN PUBLIC KEY-----", *lines, "-----END PUBLIC KEY-----", ""]).encode()


def _told(output: bytes) -> str:
    """The first line that a program wrote, without what a terminal would obey."""
    lines = output[: 16 * MOST_TOLD].decode("utf-8", "replace").strip().splitlines()
    return "".join(sign for sign in lines[0] if sign.isprintable())[:MOST_TOLD] if lines else ""


def signer_of(settings: Settings, city: CityForm) -> Signer:
    """Who signs now: the device that the city names, else the Ed25519 key of this installation, made on first use.

    Raises CitylakeError for a public key that is none.
    """
    chosen, folder = city.signing, settings.home / "secrets" / FOLDER
    former: list[Signer] = [DeviceSigner(form, folder) for form in (chosen.former if chosen else ())]
    if chosen is None or chosen.device is None:
        return Ed25519Signer(settings.key(SIGNING), former)
    if settings.has_key(SIGNING):
        former.append(Ed25519Signer(settings.key(SIGNING)))
    return DeviceSigner(chosen.device, folder, former)
