"""核验 citylake 证据包：不需要 citylake，只需 Python 3.9 以上和 cryptography 38 以上。
Checks a bundle of evidence of citylake without citylake: Python 3.9 or newer and `cryptography` 38 or newer are enough.

    python check.py [BUNDLE] [--heads FILE] [--audit-heads FILE] [--key FILE] [--tsa FILE] [--lake DIR]
                    [--published-on YYYY-MM-DD] [--received PRODUCT]
    python check.py --receipt FOLDER [--key FILE]     回执 / a receipt: statement.json, signature.bin, files beside them

退出码 / exit code: 0 无问题 / no problem; 1 有问题 / problems; 2 不是证据包 / not a bundle.

This one file goes into every bundle, so it imports nothing of citylake and carries its own texts. It says again, on
purpose, how rows and heads are hashed: it is the second opinion. A check.py that came with a bundle is worth what the
bundle is worth: run the copy that you got earlier, or that you read.
"""

from __future__ import annotations

import argparse
import base64
import bisect
import hashlib
import io
import json
import re
import struct
import sys
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

try:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
    from cryptography.x509 import (
        Certificate,
        DuplicateExtension,
        ExtendedKeyUsage,
        ExtensionNotFound,
        InvalidVersion,
        UnsupportedGeneralNameType,
        load_der_x509_certificate,
        load_pem_x509_certificate,
    )
    from cryptography.x509.oid import ExtendedKeyUsageOID
except ImportError as missing:
    print(f"需要 cryptography 38 以上：{missing}\n  cryptography 38 or newer is needed: {missing}", file=sys.stderr)
    raise SystemExit(2) from None

FIRST = "0" * 64
SAID = ("number", "at", "first", "last", "chain", "root", "previous", "algorithm", "key")
RELEASE, WITHDRAWAL, ERASURE, RETENTION = "release", "withdrawal", "erasure", "retention"
PAST_WITHDRAWAL = "past_withdrawal"
CHECKSUMS = {"sha256": "SHA-256", "sm3": "SM3"}
PROPOSAL, APPROVAL, APPROVAL_END = "proposal", "approval", "approval_end"
APPROVER_KEY, APPROVAL_FORMAT = "approver_key", "citylake-approval/1"
KEY_ENROLLED, KEY_ENDED = "key.enrol", "key.end"
GRANT_APPROVAL, GRANT_FORMAT = "grant.approve", "citylake-grant-approval/1"
GRANT_TERMS = (
    *("divisions", "columns", "purpose", "case_number", "valid_from", "valid_until", "given_by"),
    *("roads", "organisations"),
)
MARTS, ANALYSTS = "analyst/marts.duckdb", "analyst/"  # one file with every published product of a channel
UNSIGNED, SIGNATURE = "citylake-evidence/1", "manifest.sig"
EARLIER = "earlier.jsonl"
"""In a bundle of a period: the releases before it that stood when it began."""
VOUCHED = ("ledger.jsonl", EARLIER, "heads.jsonl", "audit.jsonl", "audit_heads.jsonl", "public_key.pem", "check.py")
VOUCHED_FOLDERS = ("evidence/", "editions/")  # with their .json all that a bundle of the unsigned format ever held
OF_RECEIPT = ("statement.json", "signature.bin", "key.pem")
IS_TEST, CONFIGURATION = "is_test", {"delta.enableExpiredLogCleanup": "false"}
"""The mark of made-up data, and what the Delta log of a released table has for properties."""
RECEIPTS = ("citylake-delivery/1", "citylake-reads/1")
ABOUT = ("table.version", "table.metadata", "product.get")  # name a version, show no row

TEXTS = {
    "file.gone": ("缺文件 {file}", "file {file} is missing"),
    "file.changed": ("文件 {file} 与清单不符：被改动过", "file {file} is not what the manifest says: it was changed"),
    "file.unknown": ("文件 {file} 不在清单中：被添加过", "file {file} is not in the manifest: it was added"),
    "file.ambiguous": (
        "压缩包中 {file} 的名称有歧义：同名不止一个，或名称指向别处；别的程序解出的可能不是本程序核对的文件，"
        "请勿打开压缩包中的文件",
        "the archive has {file} more than once, or under a name that leads elsewhere: what another program unpacks may"
        " not be what was checked here; open no file of this archive",
    ),
    "manifest.signature": (
        "清单的签名不对：清单 manifest.json 被改写，或不是本系统所签，其中的文件（pack.pdf 等）不可信",
        "the signature of manifest.json is wrong: it was rewritten, or not by us; distrust its files (pack.pdf ...)",
    ),
    "told.no_signature": (
        "注意：清单没有签名（由早期版本写出，或被删去）",
        "note: the manifest is not signed (an older version wrote it, or the signature was taken out)",
    ),
    "file.unvouched": (
        "文件 {file} 无从核验：清单没有签名，而写出无签名清单的版本没有这个文件；它可能被替换，不可信",
        "nothing vouches for {file}: the manifest is not signed, and versions that signed none wrote no such file;"
        " distrust it",
    ),
    "key.other": (
        "公钥与您另外留存的公钥不同：整个证据包可能由他人签名",
        "the public key is not the one you kept: somebody else may have signed all of this",
    ),
    "key.other_book": (
        "{where}：没有一个签名头由您留存的公钥或其前任签名：{zh}可能被后来的钥匙从头重签，也可能是换钥匙之后才开始；"
        "请用另外留存的签名头核对",
        "{where}: no head was signed with the key you kept or one before it: the {en} may have been signed again from"
        " its first row by a later key, or began after the change; check with heads kept elsewhere",
    ),
    "head.retired": (
        "{where}：第 {number} 个签名头仍用已移交的旧钥匙：{other} 此前已换钥匙，旧钥匙可能被他人使用",
        "{where}: head {number} is of a key that was retired: {other} had changed it before; somebody else may have it",
    ),
    "head.accepted": (
        "{where}：第 {number} 个签名头仍用已移交的旧钥匙（{other} 此前已换），{who} 在第 {by} 个签名头中认可：{why}",
        "{where}: head {number} is of a key that {other} had changed before; {who} vouches for it in head {by}: {why}",
    ),
    "head.unreadable": ("{where}：第 {line} 行不是签名头", "{where}: line {line} is not a head"),
    "head.algorithm": (
        "{where}：第 {number} 个签名头的算法 {algorithm} 本程序不认识，签名未核验",
        "{where}: head {number} has algorithm {algorithm}, which this program does not know; not verified",
    ),
    "head.signature": (
        "{where}：第 {number} 个签名头（{zh}第 {first}–{last} 条）的签名不对：内容被改动，或不是本系统所签",
        "{where}: the signature of head {number} ({en} rows {first}-{last}) is wrong: changed, or not signed by us",
    ),
    "head.key": (
        "{where}：第 {number} 个签名头由另一把钥匙签名",
        "{where}: head {number} was signed with another key",
    ),
    "head.no_handover": (
        "{where}：第 {number} 个签名头换了钥匙，前一把没有签名移交：钥匙被替换或降级，或其后的签名头是伪造的",
        "{where}: the key of head {number} is another, and the one before did not hand over to it: the key was replaced"
        " or downgraded, or the heads from there on are forged",
    ),
    "told.handover": (
        "注意：{where}：第 {number} 个签名头起换了签名钥匙（{algorithm}），由前一把签名移交；请向城市核实，留存新公钥",
        "note: {where}: from head {number} on the key is another ({algorithm}); the one before signed the handover. Ask"
        " the city about it, and keep the new public key",
    ),
    "told.handed_over_twice": (
        "注意：第 {number} 个签名头（{where}）的钥匙，其前一把曾移交给不止一把钥匙；请向城市核实每一次移交",
        "note: the key before head {number} ({where}) handed over to more than one key; ask the city about each",
    ),
    "head.root": (
        "{where}：第 {number} 个签名头的叶子与其 Merkle 根不符，不能逐条定位",
        "{where}: the leaves of head {number} do not make its Merkle root; rows cannot be told by them",
    ),
    "head.order": (
        "{where}：第 {number} 个签名头接不上前一个：签名头被删除、插入或调换",
        "{where}: head {number} does not follow the one before: heads were deleted, inserted or reordered",
    ),
    "head.early": (
        "{where}：第 {number} 个签名头自称作于 {at}，其所签的{zh}第 {last} 条却写于 {then}：时钟曾被调回，或时间是假的",
        "{where}: head {number} says it was made at {at}, before {en} row {last} that it signed ({then}): the clock was"
        " set back, or the time is false",
    ),
    "head.other": (
        "{where}：第 {number} 个签名头不是{zh}的",
        "{where}: head {number} is not one of the {en}",
    ),
    "head.none": ("没有签名头：{zh}无从核验", "there is no head: nothing vouches for the {en}"),
    "stamp.wrong": (
        "{where}：第 {number} 个签名头的时间戳不对（{problem}）：不是所信机构所盖，或盖的是别的内容",
        "{where}: the time stamp of head {number} is wrong ({problem}): not by who you trust, or on other words",
    ),
    "stamp.early": (
        "{where}：第 {number} 个签名头自称作于 {at}，时间戳却在 {stamped}，更早：时钟不对，或签名头的时间是假的",
        "{where}: head {number} says it was made at {at}, its stamp is of {stamped}: a wrong clock, or a false time",
    ),
    "stamp.none": (
        "{where}：没有一个签名头有时间戳：从未配置时间戳机构，或时间戳被删去",
        "{where}: no head has a time stamp: there never was an authority, or the stamps were taken out",
    ),
    "told.stamp_late": (
        "注意：{where}：第 {numbers} 个签名头自称更早，{stamped} 才有时间戳：此前是否存在，时间戳不能证明",
        "note: {where}: heads {numbers} say they are older, stamped at {stamped}: no proof that they were there before",
    ),
    "told.unstamped": (
        "注意：{where}：第 {numbers} 个签名头之后没有时间戳",
        "note: {where}: no time stamp on heads {numbers}, or on any after them",
    ),
    "told.stamps": (
        "{where}：{stamps} 个时间戳相符；至 {stamped}，第 1–{number} 个签名头已存在",
        "{where}: {stamps} time stamps agree; heads 1-{number} were there at {stamped}",
    ),
    "told.stamps_unchecked": (
        "注意：{where} 有 {stamps} 个时间戳没有核验：请用 --tsa 给出您信任的时间戳机构的证书（PEM）",
        "note: {where} has {stamps} unchecked time stamps: give the authority's certificate (PEM) with --tsa",
    ),
    "bad.file": ("{file} 不能读：{problem}", "{file} cannot be read: {problem}"),
    "bad.key": ("{file} 不是 PEM 公钥：{problem}", "{file} holds no PEM public key: {problem}"),
    "bad.tsa": ("{file} 不是 PEM 证书：{problem}", "{file} holds no PEM certificate: {problem}"),
    "kept.none": (
        "您留存的签名头文件 {file} 中没有签名头，什么也核对不了：请给出您当时导出的文件",
        "{file}, the heads that you kept, holds no head, so nothing was compared: give the file that you exported then",
    ),
    "kept.gone": (
        "您留存的第 {number} 个签名头（{zh}第 {first}–{last} 条）不在证据包中：{zh}末尾被截去，或签名头被删除",
        "head {number} that you kept ({en} rows {first}-{last}) is missing: the {en} was cut, or heads deleted",
    ),
    "told.older_bundle": (
        "注意：证据包自称写出于 {made}，早于您留存的第 {number} 个签名头（{at}）：请索取此后写出的证据包再核对",
        "note: the bundle says it was made at {made}, before head {number} that you kept ({at}): ask for a bundle that"
        " was written since, and check that",
    ),
    "kept.differs": (
        "第 {number} 个签名头（{zh}第 {first}–{last} 条）与您留存的不同：{zh}被改写后重新签名",
        "head {number} ({en} rows {first}-{last}) is not the one you kept: the {en} was rewritten and signed again",
    ),
    "row.unreadable": ("{zh}文件第 {line} 行不能读", "line {line} of the {en} file cannot be read"),
    "row.number": (
        "{zh}文件第 {line} 行的序号是 {found}，应为 {expected}：有记录被删除、插入或调换",
        "line {line} of the {en} file is row {found}, not {expected}: rows were deleted, inserted or reordered",
    ),
    "row.chain": (
        "{zh}哈希链在第 {before} 条与第 {row} 条之间断开：其中一条被改动，或其间有记录被删除、插入或调换",
        "the chain breaks between rows {before} and {row}: one was changed, or rows were deleted, added or moved",
    ),
    "row.changed": (
        "{zh}第 {rows} 条不是第 {number} 个签名头（{where}）所签的内容：自首条起有改动、增删或调换，其后各条随链而变",
        "{en} rows {rows} are not what head {number} ({where}) signed: from the first on changed, added or gone",
    ),
    "row.gone": (
        "{zh}第 {rows} 条缺失，第 {number} 个签名头（{where}）签过：被删除或截去",
        "{en} rows {rows} are missing that head {number} ({where}) signed: deleted, or cut off",
    ),
    "row.unsigned": (
        "{zh}第 {rows} 条没有签名头：签名之后插入，或系统发现{zh}被改动而拒绝签名",
        "no head signed {en} rows {rows}: inserted since, or the system found the {en} changed and refused",
    ),
    "row.early": (
        "{zh}第 {row} 条自称写于 {at}，第 {before} 条却已写于 {then}：时钟曾被调回，或这条是后来倒填时间的",
        "{en} row {row} says it was written at {at}, but row {before} at {then}: the clock was set back, or the row was"
        " added later under an earlier time",
    ),
    "evidence.gone": (
        "第 {row} 条（{subject}）的证据文件 {file} 缺失",
        "row {row} ({subject}): evidence file {file} is missing",
    ),
    "evidence.changed": (
        "第 {row} 条（{subject}）的证据文件 {file} 被改动：与账本所载哈希不符",
        "row {row} ({subject}): evidence file {file} was changed: its hash is not what the ledger says",
    ),
    "evidence.unnamed": (
        "账本没有任何一条提到 {file}：它不是证据，可能是后来放入的",
        "no ledger row names {file}: it is no evidence, somebody may have put it there",
    ),
    "edition.gone": (
        "第 {row} 条所载的构建清单 {file} 缺失",
        "row {row}: {file}, which tells what was built from what, is missing",
    ),
    "edition.changed": (
        "第 {row} 条所载的构建清单 {file} 被改动：与账本所载哈希不符",
        "row {row}: {file}, which tells what was built from what, was changed: its hash is not what the ledger says",
    ),
    "approval.unbacked": (
        "第 {row} 条（{subject} 版本 {version}）称经两人批准发布，但此前的记录不支持",
        "row {row} ({subject} version {version}) says that two persons approved it; the rows before it do not",
    ),
    "told.approvals": (
        "两人批准的发布：{backed} 次有此前的提请和批准为证，{before} 次的批准或批准人公钥早于证据包",
        "releases that two persons approved: {backed} follow their rows, of {before} the approval, or the key of the"
        " approver, is from before this bundle",
    ),
    "grant.unsigned": (
        "审计第 {row} 条批准了授权 {grant}，但没有批准人当时的密钥的有效签名",
        "audit row {row} approves grant {grant} without a good signature of the key that its approver had then",
    ),
    "told.grants": (
        "授权的批准：{signed} 次有批准人的签名为证，{before} 次早于首次签名，或批准人公钥早于证据包",
        "approvals of grants: {signed} are signed by their approver, {before} are from before the first signature, or"
        " the key is from before this bundle",
    ),
    "lake.no_hash": (
        "第 {row} 条（{subject} 版本 {version}）未同时载有文件 {file} 的 SHA-256 和 SM3，无从核对："
        "这条记录早于两种哈希",
        "row {row} ({subject} version {version}) does not say both SHA-256 and SM3 of file {file}, which cannot be"
        " checked: the row is older than they are",
    ),
    "lake.gone": (
        "第 {row} 条（{subject} 版本 {version}）发布的文件 {file} 缺失，账本没有说它已清除",
        "row {row} ({subject} version {version}): published file {file} is missing; the ledger does not end it",
    ),
    "lake.changed": (
        "第 {row} 条（{subject} 版本 {version}）发布的文件 {file} 被改动：SHA-256 和 SM3 都与账本所载不符",
        "row {row} ({subject} version {version}): published file {file} was changed: neither its SHA-256 nor its SM3 is"
        " what the ledger says",
    ),
    "lake.one_hash": (
        "第 {row} 条（{subject} 版本 {version}）发布的文件 {file}：{good} 与账本所载相符，{wrong} 不符；"
        "收据中的这个哈希有误，或文件被换成 {good} 相同的另一内容",
        "row {row} ({subject} version {version}): published file {file}: its {good} is what the ledger says,"
        " its {wrong} is not; that of the receipt is wrong, or the file was replaced by another of the same {good}",
    ),
    "lake.log": (
        "第 {row} 条（{subject} 版本 {version}）：Delta 日志与账本所载不符，{file} 被加入、去掉，"
        "或其中的行被删除标记隐去",
        "row {row} ({subject} version {version}): the Delta log is not what the ledger says: {file} was added, taken"
        " out, or has rows hidden by a deletion vector",
    ),
    "lake.described": (
        "第 {row} 条（{subject} 版本 {version}）：Delta 日志中的说明、配置或列注释不是系统写入的：{what}",
        "row {row} ({subject} version {version}): description, configuration or comments of columns in the Delta log"
        " are not what the system writes: {what}",
    ),
    "lake.log_gone": (
        "第 {row} 条（{subject} 版本 {version}）：Delta 日志 {file} 缺失或不能读，这一版本由哪些文件组成无从核对",
        "row {row} ({subject} version {version}): {file} of the Delta log is missing or cannot be read: nothing tells"
        " of which files the version is made",
    ),
    "told.checkpoints": (
        "注意：{tables} 张表的 Delta 日志有检查点或压缩日志，读者先读它们，本程序不读，如 {table}："
        "请在系统中运行 citylake verify",
        "note: the Delta logs of {tables} tables have checkpoints or compacted commits, which readers read first and"
        " this program does not, {table} among them: run citylake verify in the house",
    ),
    "told.later_versions": (
        "注意：{tables} 张表的 Delta 日志有比账本所载更新的版本，如 {table}：不指明版本的读者读到的是它们，没有核验；"
        "证据包写出后又有发布，或有人添加",
        "note: the Delta logs of {tables} tables have versions later than the ledger names, {table} among them: who"
        " names no version reads these, which are unchecked; released since the bundle was written, or added by"
        " somebody",
    ),
    "told.erasure": (
        "说明：第 {row} 条，依删除令 {order} 删除了一人的信息：{versions} 个版本因此改写或清除，不是损坏",
        "note: row {row}, a person was erased by order {order}: {versions} versions rewritten or ended, not corrupt",
    ),
    "told.retention": (
        "说明：第 {row} 条，保存期限届满（{order}）：{versions} 个版本因此缩短或清除，不是损坏",
        "note: row {row}, retention ended ({order}): {versions} versions shortened or ended, not corrupt",
    ),
    "told.partial": (
        "注意：这是部分证据包，只有{zh}第 {first}–{last} 条，签名头签到第 {signed} 条；其余没有核验",
        "note: this bundle is a part: {en} rows {first}-{last} only, heads go to row {signed}; the rest is unchecked",
    ),
    "told.no_heads": (
        "注意：没有用 {option} 给出另外留存的{zh}签名头：持有签名钥匙的人重写全部{zh}，这样查不出来",
        "note: no heads kept elsewhere ({option}): whoever has the signing key could have rewritten the {en} unseen",
    ),
    "told.no_audit": (
        "注意：证据包没有审计记录（由早期版本写出，或被删去），审计没有核验",
        "note: the bundle has no audit (written by an older version, or taken out); the audit is unchecked",
    ),
    "told.audit": ("审计：{rows} 条，签名头 {heads} 个", "audit: {rows} rows, {heads} heads"),
    "clock.other": (
        "清单所写的城市时区（UTC{said}）与第 {number} 个签名头所签的（UTC{signed}）不同：清单被改写",
        "the manifest says that the city's clock is UTC{said}, head {number} signed UTC{signed}: it was rewritten",
    ),
    "told.clock": (
        "注意：{where}：第 {numbers} 个签名头由早期版本所签，没有写明城市时区：其各条属于哪一天，依清单的 UTC{said}，"
        "只有清单的签名为证",
        "note: {where}: heads {numbers} are of an older version and do not sign the city's clock: days of their rows"
        " are told by the manifest's UTC{said}, for which only its signature vouches",
    ),
    "program.other": (
        "包内的 check.py（SHA-256 {hash}）不是签名头所签的程序：被替换过，不要运行它",
        "check.py of the bundle (SHA-256 {hash}) is not the program that heads sign: it was replaced, do not run it",
    ),
    "told.program_since": (
        "注意：包内的 check.py 不是您留存的第 {number} 个签名头所签的（SHA-256 {hash}）：系统此后升级过，或它被替换；"
        "请另行核对，或运行您先前取得的",
        "note: check.py of the bundle is not the one of head {number} that you kept (SHA-256 {hash}): the system was"
        " upgraded since, or it was replaced; compare it by another way, or run the copy that you got earlier",
    ),
    "told.key_only": (
        "注意：manifest.json 和 pack.pdf 只有清单的签名为证：偷得签名钥匙的人可以改写，凭此后的审计才能查出"
        "（审计记有每个证据包清单的 SHA-256，本包 {manifest}）。以账本、签名头和本程序（SHA-256 {program}）所说为准",
        "note: only a signature vouches for manifest.json and pack.pdf: who stole the key can rewrite them, which the"
        " audit of a later bundle tells (it has the SHA-256 of each manifest; this one's is {manifest}). What counts is"
        " what ledger, heads and this program (SHA-256 {program}) say",
    ),
    "told.evidence": (
        "证据文件：{checked} 个相符；{without} 条发布或拒绝记录早于证据文件留存，没有载明",
        "evidence files: {checked} agree; {without} releases or refusals are older than this and name none",
    ),
    "told.lake": (
        "发布的文件：{same} 个相符，{rewritten} 个依账本改写后相符，{ended} 个依账本清除",
        "published files: {same} agree, {rewritten} agree as the ledger says they were rewritten, {ended} ended by it",
    ),
    "told.newest": (
        "最后一个签名头：第 {number} 个，{at}，签到账本第 {last} 条，哈希 {hash}",
        "newest head: number {number}, {at}, up to ledger row {last}, hash {hash}",
    ),
    "told.good": (
        "核验通过：账本 {rows} 条，签名头 {heads} 个",
        "checked: {rows} ledger rows, {heads} heads, no problem",
    ),
    "told.bad": (
        "发现 {problems} 个问题。请保全证据包、数据库和外部留存的签名头，并调查",
        "{problems} problems. Preserve the bundle, the database and the heads kept elsewhere, and investigate",
    ),
    "told.withdrawal": (
        "说明：第 {row} 条，{subject} 于此撤回：此前发布的版本不再提供，文件和账本记录仍在",
        "note: row {row}, {subject} was withdrawn: what was released before is not given out, its files and rows stay",
    ),
    "told.past_withdrawal": (
        "说明：第 {row} 条，{subject} 版本 {version} 撤回：不再提供，文件和账本记录仍在",
        "note: row {row}, {subject} version {version} was withdrawn: not given out, its files and rows stay",
    ),
    "published.head": (
        "{day} 日终（UTC{offset}）已发布的内容，依账本第 {first}–{last} 条：",
        "published at the end of {day} (UTC{offset}), by ledger rows {first}-{last}:",
    ),
    "published.row": (
        "{subject} 版本 {version}，{rows} 行，数据截至 {as_of}，账本第 {row} 条，发布于 {at}{since}",
        "{subject} version {version}, {rows} rows, as of {as_of}, ledger row {row}, released {at}{since}",
    ),
    "published.since": ("；此后依第 {row} 条改写或清除", "; rewritten or ended since by row {row}"),
    "published.earlier": (
        "证据包自账本第 {first} 条起：此前发布的版本取自 {file}，逐条与签名头核对；"
        "其间是否另有撤回或更新，须凭整本账本的证据包核对",
        "the bundle begins with ledger row {first}: versions released before are those of {file}, each checked by its "
        "head; only a bundle of the whole ledger proves that none was withdrawn or replaced in between",
    ),
    "published.none": ("没有已发布的内容", "nothing was published"),
    "published.unknown": (
        "证据包止于账本第 {last} 条（{at}），早于所问日终：其后情况不在包内",
        "the bundle ends with ledger row {last} ({at}), before the end of that day: what came later is not in it",
    ),
    "received.head": (
        "读过 {product} 的各方，依审计第 {first}–{last} 条：",
        "who read {product}, by audit rows {first}-{last}:",
    ),
    "received.row": (
        "{who}：版本 {versions}，读取 {reads} 次，{since} 至 {until}",
        "{who_en}: versions {versions}, {reads} reads, {since} to {until}",
    ),
    "received.marts": (
        "{who}：下载分析库整库 {reads} 次，{since} 至 {until}，其中的版本 {versions}",
        "{who_en}: the analysts' database, whole: {reads} downloads, {since} to {until}, with versions {versions}",
    ),
    "receipt.signature": (
        "回执的签名不对：statement.json 被改动，或签名是别的回执的",
        "the signature of the receipt is wrong: statement.json was changed, or the signature is of another one",
    ),
    "receipt.key": (
        "回执由另一把钥匙签名，不是您留存的那把：请向提供方核实是否换过钥匙",
        "the receipt was signed with another key than the one you kept: ask who gave it whether the key was changed",
    ),
    "receipt.format": (
        "statement.json 不是回执：格式为 {format}，应为 {known}",
        "statement.json is no receipt: its format is {format}, not {known}",
    ),
    "receipt.key_file": (
        "key.pem 不是回执所写的公钥：被换过，不要用它核验",
        "key.pem is not the key that the receipt names: it was replaced, do not verify by it",
    ),
    "receipt.renamed": (
        "文件 {file} 与回执中同名文件的内容不同",
        "file {file} is not what the receipt has under this name",
    ),
    "receipt.missing": (
        "注意：回执中还有 {files} 个文件不在目录中，如 {file}",
        "note: {files} files of the receipt are not in the folder, {file} among them",
    ),
    "receipt.file": ("文件 {file} 在回执中", "file {file} is in the receipt"),
    "receipt.other_file": (
        "文件 {file} 不在回执中：被改动过，或不是这次给出的",
        "file {file} is not in the receipt: it was changed, or is not what was given",
    ),
    "receipt.said": (
        "{from} 于 {at} 出具给 {recipient}：{products}",
        "by {from} for {recipient} at {at}: {products}",
    ),
    "receipt.own_key": (
        "注意：签名以回执自带的公钥核验（SHA-256 {key}）；请另行核对公钥，或用 --key 给出您留存的",
        "note: verified by the key that the receipt names (SHA-256 {key}); compare it by another way, or give --key",
    ),
    "receipt.bad": (
        "发现 {problems} 个问题，请保存收到的文件和回执，与提供方核实",
        "{problems} problems: keep the files and the receipt, and ask who gave them",
    ),
    "receipt.good": ("回执无问题", "the receipt is good"),
    "received.none": ("没有人读过", "nobody read it"),
    "bad.form": (
        "{folder} 中有内容不是应有的形式（{problem}），核对到此为止。"
        "请用生成该证据包的同版 check.py 核对，或请提供方重新导出",
        "something in {folder} has not the form it should have ({problem}); checking ended here. Use the check.py of"
        " the version that made the bundle, or ask for a new export",
    ),
    "bad.bundle": ("{folder} 不是证据包：{problem}", "{folder} is no bundle: {problem}"),
}


class Head(NamedTuple):
    """One signed head: its statement, the text that was signed, the hashes of its leaves if they make its root, and its
    time stamp (DER), empty if it has none. `clock`: the city's when it was made; `program`: SHA-256 (hex) of the
    check.py of the version that made it. Older versions said neither."""

    says: dict[str, Any]
    text: str
    leaves: list[str]
    stamp: bytes
    clock: timezone | None = None
    program: str | None = None

    @property
    def about(self) -> dict[str, Any]:
        """What messages say of it."""
        return {name: self.says[name] for name in ("number", "first", "last")}

    @property
    def key(self) -> bytes:
        """The key that signed it, a SubjectPublicKeyInfo in DER."""
        return bytes.fromhex(self.says["key"])

    @property
    def at(self) -> datetime:
        """When it says that it was made."""
        return datetime.fromisoformat(self.says["at"])

    @property
    def hash(self) -> str:
        """SHA-256 (hex) of its statement: what the next head names."""
        return hashlib.sha256(self.text.encode()).hexdigest()


class Row(NamedTuple):
    """One row of the ledger or the audit as it lies in the bundle. `at` is UTC; of the audit, kind is the action."""

    line: int
    text: bytes
    sequence: int
    previous: str
    kind: str
    subject: str
    version: int | None
    at: datetime
    body: dict[str, Any]


class NotReadable(Exception):
    """What was given is not what it should be: no bundle, no key, no certificates."""

    def __init__(self, code: str, **about: object) -> None:
        self.code, self.about = code, about
        super().__init__(code)


class NotStamped(Exception):
    """A time stamp does not prove what it should; the text says why."""


class Check:
    """One bundle being checked; says what it finds as it goes and counts the problems."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.problems = 0
        try:
            self.manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
            span = (int(self.manifest["first"]), int(self.manifest["last"]))
            self.clock = timezone(timedelta(minutes=int(self.manifest["utc_offset_minutes"])))
            self.named: dict[str, str] = dict(self.manifest["files"])
            self.partial = bool(self.manifest["partial"])
            self.made = datetime.fromisoformat(self.manifest["made"])
            self.key = public_key((folder / "public_key.pem").read_bytes())
            self.ledger = Book(self, "ledger", "账本", span)
            self.audit: Book | None = None
            if "audit" in self.manifest:
                first, last = self.manifest["audit"]
                self.audit = Book(self, "audit", "审计", (int(first), int(last)))
            self.books = [book for book in (self.ledger, self.audit) if book]
            self.signature = self.read_signature()
            self.by_manifest = self.handover_of_manifest()
            self.steps = self.handed_over()
            self.keys = leading_to(self.key, self.steps)
        except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            problem = f"{type(error).__name__}: {error}"
            raise NotReadable("bad.bundle", folder=folder, problem=problem) from error
        self.rows = self.ledger.rows
        self.span = span

    def problem(self, code: str, **about: object) -> None:
        """Say a problem in both languages and count it."""
        self.problems += 1
        say("✗", code, **about)

    # files

    def files(self) -> None:
        """Every file is what the manifest says, and there are no others."""
        for name, expected in sorted(self.named.items()):
            path = self.folder / name
            if not path.is_file():
                self.problem("file.gone", file=name)
            elif sha256(path) != expected:
                self.problem("file.changed", file=name)
        there = (path for path in self.folder.rglob("*") if path.is_symlink() or not path.is_dir())
        present = {path.relative_to(self.folder).as_posix() for path in there}
        for name in sorted(present - self.named.keys() - {"manifest.json", SIGNATURE}):
            self.problem("file.unknown", file=name)

    def manifest_signature(self) -> None:
        """The list of files was signed by the key of the heads: it vouches for what the ledger does not."""
        file = self.folder / SIGNATURE
        if not file.is_file():
            if self.manifest.get("format") != UNSIGNED:
                self.problem("file.gone", file=SIGNATURE)
                return
            say("·", "told.no_signature")
            for name in sorted(self.named):  # whoever takes the signature away can say that there never was one
                if name not in VOUCHED and not (name.startswith(VOUCHED_FOLDERS) and name.endswith(".json")):
                    self.problem("file.unvouched", file=name)
            return
        message = (self.folder / "manifest.json").read_bytes()
        try:
            given = bytes.fromhex(self.signature["signature"])
            good = signed_with(self.signature["algorithm"], self.key, given, message)
        except (ValueError, KeyError, TypeError):
            good = False
        if not good:
            self.problem("manifest.signature")
        if self.by_manifest not in (None, self.key):
            about = {"number": int(self.ledger.heads[-1].says["number"]) + 1, "algorithm": self.signature["algorithm"]}
            say("·", "told.handover", where=SIGNATURE, **about)

    def clocks(self) -> None:
        """The city's clock, which decides on what day a row was written, is the one that heads signed."""
        said = offset_of(self.clock)
        for head in self.ledger.heads[-1:]:
            if head.clock not in (None, self.clock):
                self.problem("clock.other", said=said, number=head.says["number"], signed=offset_of(head.clock))
        for book in self.books:
            if older := [int(head.says["number"]) for head in book.heads if head.clock is None]:
                say("·", "told.clock", where=book.heads_file, numbers=ranges(older), said=said)

    def program(self) -> None:
        """The check.py of the bundle is the one that the newest heads name. A version writes a row of the audit, and
        signs it, before it writes a bundle."""
        file = self.folder / "check.py"
        named = {head.program for book in self.books for head in book.heads[-1:]} - {None}
        if named and file.is_file() and sha256(file) not in named:
            self.problem("program.other", hash=sha256(file))
        manifest = sha256(self.folder / "manifest.json")
        say("·", "told.key_only", manifest=manifest, program=sha256(Path(__file__)))

    def read_signature(self) -> dict[str, Any]:
        """What the signature of the manifest says; nothing if there is none, or if it is damaged."""
        try:
            said = json.loads((self.folder / SIGNATURE).read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        return said if isinstance(said, dict) else {}

    def kept_key(self, file: Path) -> None:
        """The public key is the one that was kept elsewhere, or that one handed over to it; and in each book it, or one
        before it, signed: a later key alone would prove nothing of what was signed before it."""
        kept = given_key(file)
        if kept not in self.keys:
            self.problem("key.other")
            return
        trusted = leading_to(kept, self.steps)
        for book in self.books:
            if book.heads and not any(head.key in trusted for head in book.heads):
                book.problem("key.other_book", where=book.heads_file)

    def handed_over(self) -> set[tuple[bytes, bytes]]:
        """Each key that handed over, with the one that followed it."""
        pairs = [pair for book in self.books for pair in zip(book.heads, book.heads[1:])]  # noqa: B905 (Python 3.9)
        steps = {(old.key, head.key) for old, head in pairs if old.key != head.key and follows(old, head)}
        return steps | ({(self.by_manifest, self.key)} if self.by_manifest else set())

    def handover_of_manifest(self) -> bytes | None:
        """The key of the newest head of the ledger, if it handed over to the bundle's before another head was made."""
        if not self.ledger.heads:
            return None
        newest = self.ledger.heads[-1]
        try:
            signature = bytes.fromhex(self.signature["handover"])
        except (ValueError, KeyError, TypeError):
            return None
        message = handover(str(self.signature.get("algorithm")), self.key.hex(), newest.hash).encode()
        return newest.key if signed_with(newest.says["algorithm"], newest.key, signature, message) else None

    def kept_audit_heads(self, file: Path) -> None:
        """The same of the audit as of the ledger, also when the bundle has none of it."""
        book = self.audit or Book(self, "audit", "审计", (0, 0), empty=True)
        book.kept_heads(file)

    # what rows name

    def evidence(self) -> None:
        """The evidence that a row names by its hash is in the bundle, unchanged."""
        checked = without = 0
        for row in self.rows:
            proof = row.body.get("proof")
            if proof is None:
                without += row.kind in (RELEASE, "refusal")
                continue
            file = f"evidence/{row.sequence}.json"
            about = {"row": row.sequence, "subject": row.subject, "file": file}
            if not (self.folder / file).is_file():
                self.problem("evidence.gone", **about)
            elif sha256(self.folder / file) != proof:
                self.problem("evidence.changed", **about)
            else:
                checked += 1
        self.unnamed("evidence", {f"{row.sequence}.json" for row in self.rows if row.body.get("proof") is not None})
        say("·", "told.evidence", checked=checked, without=without)

    def editions(self) -> None:
        """What a release was built from (versions of sources, hashes of code, engines) is in the bundle, unchanged."""
        for wanted in dict.fromkeys(row.body.get("built_from") for row in self.rows):
            if wanted is None:
                continue
            file = f"editions/{wanted}.json"
            rows = [row.sequence for row in self.rows if row.body.get("built_from") == wanted]
            if not (self.folder / file).is_file():
                self.problem("edition.gone", row=rows[0], file=file)
            elif sha256(self.folder / file) != wanted:
                self.problem("edition.changed", row=rows[0], file=file)
        self.unnamed("editions", {f"{row.body['built_from']}.json" for row in self.rows if row.body.get("built_from")})

    def unnamed(self, folder: str, named: Set[str]) -> None:
        """Nothing else lies where evidence does: who has the key can put it into the manifest, but into no row."""
        for path in sorted((self.folder / folder).rglob("*")):
            name = path.relative_to(self.folder / folder).as_posix()
            if path.is_file() and name not in named:
                self.problem("evidence.unnamed", file=f"{folder}/{name}")

    def approvals(self) -> None:
        """A release that says that two persons approved it follows their rows: one proposed, another approved and
        signed with the key that they had then, nobody ended that, approved anew or withdrew the subject since, and it
        was not used before if each release asks."""
        follow = before = 0
        about: dict[str, list[Row]] = {}
        for row in self.rows:
            about.setdefault(row.subject, []).append(row)
        keys = [row for row in self.rows if row.kind == APPROVER_KEY]
        for row in self.rows:
            said = row.body.get("approval") if row.kind == RELEASE else None
            if said is None:
                continue
            known = {one.sequence: one for one in about[row.subject]}
            if any(
                is_before(number, self.span[0]) for number in (said["proposal"], key_named(known, said["row"], keys))
            ):
                before += 1
            elif backed(row, said, about[row.subject], keys):
                follow += 1
            else:
                self.problem("approval.unbacked", row=row.sequence, subject=row.subject, version=row.version)
        if follow or before:
            say("·", "told.approvals", backed=follow, before=before)

    def grants(self, rows: Sequence[Row]) -> None:
        """An approval of a grant, in the audit, is signed with the key that its approver had then; none must before
        the first that is. A bundle of a period may begin after a key was enrolled."""
        keys = {row.sequence: row for row in self.rows if row.kind == APPROVER_KEY}
        held: dict[str, object] = {}
        signed = before = 0
        signing = False
        for row in rows:
            about, said = json.loads(row.text), row.body
            if about.get("outcome") != "allowed" or row.kind not in (KEY_ENROLLED, KEY_ENDED, GRANT_APPROVAL):
                continue
            if row.kind != GRANT_APPROVAL:
                held[said["user"]] = said["row"] if row.kind == KEY_ENROLLED else None
                continue
            named, mine = said.get("key"), held.get(said["actor"], said.get("key") if self.partial else None)
            signing = signing or "signature" in said
            if not signing or (said["actor"] not in held and is_before(named, self.span[0])):
                before += 1
            elif named == mine and named in keys and signed_grant(about, said, keys[named]):
                signed += 1
            else:
                self.problem("grant.unsigned", row=row.sequence, grant=about.get("grant"))
        if signed or before:
            say("·", "told.grants", signed=signed, before=before)

    def rewritings(self) -> list[Row]:
        """The rows that say what was rewritten or ended after it was published, in order."""
        return [row for row in self.rows if row.kind in (ERASURE, RETENTION)]

    def told(self) -> None:
        """Say what was withdrawn, and what erasures and ended periods changed."""
        for row in self.rows:
            if row.kind in (WITHDRAWAL, PAST_WITHDRAWAL):
                say("·", f"told.{row.kind}", row=row.sequence, subject=row.subject, version=row.version)
        for row in self.rewritings():
            versions = sum(len(changed) for changed in row.body.get("releases", {}).values())
            say("·", f"told.{row.kind}", row=row.sequence, order=row.subject, versions=versions)

    def lake(self, lake: Path) -> None:
        """The published files are what the ledger says: as published, or as an order or an ended period left them."""
        became: dict[tuple[str, str], str] = {}  # a data file is in many versions: looked at and told once
        rewritten = Rewritten(self.rewritings())
        for row in self.rows:
            for name, said in published_files(row) if row.kind == RELEASE else ():
                if None in said.values():
                    self.problem("lake.no_hash", row=row.sequence, subject=row.subject, version=row.version, file=name)
                    continue
                expected = rewritten.left_of(row, name, said)
                claim = (name, json.dumps(expected))
                if claim not in became:
                    became[claim] = self.published_file(lake, row, name, said, expected)
        last: dict[str, str] = {}
        for (name, _), state in became.items():
            if state != "ended" or name not in last:  # what a version that ended shares with one that did not is there
                last[name] = state
        outcomes = list(last.values())
        say("·", "told.lake", **{state: outcomes.count(state) for state in ("same", "rewritten", "ended")})

    def logs(self, lake: Path) -> None:
        """The Delta log of each released version names the files that the ledger names, and hides no row of them."""
        releases: dict[str, dict[int, Row]] = {}
        rewritten, checkpoints, later = Rewritten(self.rewritings()), list[str](), list[str]()
        for row in self.rows:
            if row.kind == RELEASE and row.version is not None and "data" in row.body and not rewritten.ended(row):
                releases.setdefault(row.subject, {})[row.version] = row
        for subject, wanted in releases.items():
            where = f"products/{subject}" if "/" in subject else f"*/{subject}"
            table = next((lake / "released").glob(where), lake / "released" / where)
            names = [file.name for file in (table / "_delta_log").glob("*")]
            if any("checkpoint" in name or "compacted" in name for name in names):
                checkpoints.append(subject)
            if max(wanted) < max((int(name[:20]) for name in names if COMMIT.fullmatch(name)), default=0):
                later.append(subject)
            self.log(lake, table, wanted)
        if checkpoints:
            say("·", "told.checkpoints", tables=len(checkpoints), table=checkpoints[0])
        if later:
            say("·", "told.later_versions", tables=len(later), table=later[0])

    def log(self, lake: Path, table: Path, wanted: Mapping[int, Row]) -> None:
        """The same of one table; `wanted`: its releases by version. Its log is read once, commit by commit."""
        active, described = set[str](), dict[str, Any]()
        marks = {bool(row.body.get(IS_TEST)) for row in wanted.values()}
        for version in range(max(wanted) + 1):
            commit, row = table / "_delta_log" / f"{version:020}.json", wanted.get(version)
            try:
                actions = [json.loads(line) for line in commit.read_bytes().splitlines()]
                hiding = {unquote(one["add"]["path"]) for one in actions if one.get("add", {}).get("deletionVector")}
                active -= {unquote(one["remove"]["path"]) for one in actions if "remove" in one}
                active |= {unquote(one["add"]["path"]) for one in actions if "add" in one}
                for one in actions:
                    described |= {name: one[name] for name in ("metaData", "protocol") if name in one}
                strange = unlike_ours(described["metaData"], described["protocol"], marks) if row else []
            except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
                later = min(number for number in wanted if number >= version)
                about = {"row": wanted[later].sequence, "subject": wanted[later].subject, "version": later}
                self.problem("lake.log_gone", file=commit.relative_to(lake).as_posix(), **about)
                return
            if row is not None:
                said = {(lake / one["path"]).relative_to(table).as_posix() for one in row.body["data"]}
                about = {"row": row.sequence, "subject": row.subject, "version": version}
                for file in sorted((said ^ active) | hiding):
                    self.problem("lake.log", file=file, **about)
                if strange:
                    self.problem("lake.described", what=", ".join(strange), **about)

    def published_file(
        self, lake: Path, row: Row, name: str, said: Mapping[str, str], expected: Mapping[str, str] | None
    ) -> str:
        """What became of one published file."""
        path, about = lake / name, {"row": row.sequence, "subject": row.subject, "version": row.version, "file": name}
        if expected is None:
            return "ended"
        if not path.is_file():
            self.problem("lake.gone", **about)
            return "wrong"
        found = checksums(path)
        wrong = [title for key, title in CHECKSUMS.items() if found[key] != expected[key]]
        if len(wrong) == 1:
            (good,) = set(CHECKSUMS.values()) - set(wrong)
            self.problem("lake.one_hash", good=good, wrong=wrong[0], **about)
        elif wrong:
            self.problem("lake.changed", **about)
        return "wrong" if wrong else "same" if expected == said else "rewritten"

    # questions

    def published_on(self, day: date) -> None:
        """Say what was published at the end of a day by the city's clocks."""
        say("", "published.head", day=day, offset=offset_of(self.clock), first=self.span[0], last=self.span[1])
        current: dict[str, Row] = {}
        earlier = sorted(self.ledger.earlier, key=lambda row: row.sequence)  # whoever wrote the file chose its order
        for row in (*earlier, *self.rows):
            if self.ledger.local(row).date() <= day and row.kind in (RELEASE, WITHDRAWAL):
                current[row.subject] = row
        shown = [row for _, row in sorted(current.items()) if row.kind == RELEASE]
        for row in shown:
            later = [one for one in self.rewritings() if one.sequence > row.sequence and touched(one, row)]
            since = "published.since" if later else None
            about = {
                "subject": row.subject,
                "version": row.version,
                "rows": row.body.get("rows"),
                "as_of": row.body.get("as_of"),
                "row": row.sequence,
                "at": self.ledger.local(row).isoformat(timespec="seconds"),
            }
            for which in (0, 1):
                more = TEXTS[since][which].format(row=later[-1].sequence) if since else ""
                text = plain(TEXTS["published.row"][which].format(**about, since=more))
                print(("  " if which == 0 else "    ") + text)
        if not shown:
            say("  ", "published.none")
        if self.span[0] > 1:
            say("·", "published.earlier", first=self.span[0], file=EARLIER)
        known_until = self.rows[-1].at if self.partial and self.rows else self.made
        if self.rows and known_until.astimezone(self.clock).date() <= day:
            at = self.ledger.local(self.rows[-1]).isoformat(timespec="seconds")
            say("·", "published.unknown", last=self.rows[-1].sequence, at=at)

    def received(self, product: str) -> None:
        """Say who read a product: every answer of the audit that showed rows of one of its versions, and every download
        of the analysts' database that it was in."""
        book = self.audit or Book(self, "audit", "审计", (0, 0), empty=True)
        say("", "received.head", product=product, first=book.span[0], last=book.span[1])
        found: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for row in book.rows:
            said = json.loads(row.text)
            if said["outcome"] != "allowed" or row.body.get("method") == "HEAD":
                continue  # nothing was given
            if (version := self.shown_version(said, row.at, product)) is None:
                continue
            code = "received.marts" if said["product"] == MARTS else "received.row"
            day = book.local(row).date().isoformat()
            found.setdefault((said.get("recipient") or "", code), []).append((version, day))
        for (who, code), reads in sorted(found.items()):
            versions = ", ".join(sorted({version for version, _ in reads}, key=lambda one: (len(one), one)))
            span = {"since": min(day for _, day in reads), "until": max(day for _, day in reads)}
            names = {"who": who or "公众或本机", "who_en": who or "the public or this machine"}
            say("  ", code, **names, versions=versions, reads=len(reads), **span)
        if not found:
            say("  ", "received.none")

    def shown_version(self, said: Mapping[str, Any], at: datetime, product: str) -> str | None:
        """The version of a product whose rows an audit row tells of; "?" where the bundle does not say which, None for
        no row of it. The analysts' database is given out only while it holds just what is published."""
        if said.get("product") == MARTS and said["action"] == "download":
            if product == MARTS:
                return "?"
            return self.published_at(product, at) if product.startswith(ANALYSTS) else None
        if said.get("product") == product and said.get("version") is not None and said["action"] not in ABOUT:
            return str(said["version"])
        return None

    def published_at(self, product: str, at: datetime) -> str | None:
        """The version that was published at a moment, "?" if that was decided before the bundle begins."""
        kinds = (RELEASE, WITHDRAWAL)
        rows = [one for one in self.ledger.rows if one.subject == product and one.kind in kinds and one.at <= at]
        if not rows:
            return "?" if self.ledger.span[0] > 1 else None
        return str(rows[-1].version) if rows[-1].kind == RELEASE else None


class Rewritten:
    """What orders and ended periods made of published files, by file and by version: asked for every file of every
    release. `words`: their rows, in order."""

    def __init__(self, words: Iterable[Row]) -> None:
        self.changes: dict[str, list[tuple[int, Any, Any]]] = {}
        self.ends: dict[tuple[str, str], int] = {}
        for word in words:
            for name, (before, after) in word.body.get("files", {}).items():
                self.changes.setdefault(name, []).append((word.sequence, before, after))
            for subject, versions in word.body.get("releases", {}).items():
                for version, (_, after) in versions.items():
                    if after is None:
                        self.ends[subject, version] = word.sequence

    def ended(self, row: Row) -> bool:
        """Whether a released version was ended since."""
        return self.ends.get((row.subject, str(row.version)), 0) > row.sequence

    def left_of(self, row: Row, name: str, said: Mapping[str, str]) -> Mapping[str, str] | None:
        """The checksums that a published file should have now; None if it was ended."""
        if self.ended(row):
            return None
        expected: Mapping[str, str] | None = said
        for sequence, before, after in self.changes.get(f"lake/{name}", ()):
            if before == expected and sequence > row.sequence:
                expected = after
        return expected


class Book:
    """One hash chain of a bundle, the ledger or the audit, with its heads."""

    def __init__(self, check: Check, name: str, title: str, span: tuple[int, int], empty: bool = False) -> None:
        self.check = check
        self.name = name
        self.title = title
        self.span = span
        self.file = f"{name}.jsonl"
        self.heads_file = "heads.jsonl" if name == "ledger" else f"{name}_heads.jsonl"
        self.partial = check.partial
        self.heads = [] if empty else list(self.read_heads(check.folder / self.heads_file, self.heads_file))
        self.ends = [int(head.says["last"]) for head in self.heads]
        self.rows = [] if empty else list(self.read_rows(self.file))
        has_earlier = name == "ledger" and self.partial and (check.folder / EARLIER).is_file()
        self.earlier = list(self.read_rows(EARLIER)) if has_earlier else []
        self.by_number = {row.sequence: row for row in reversed(self.rows)}

    def problem(self, code: str, **about: object) -> None:
        """Say a problem of this chain."""
        self.check.problem(code, zh=self.title, en=self.name, **about)

    def all(self) -> None:
        """Everything that the bundle alone can tell."""
        self.head_chain()
        self.row_chain()
        self.times()
        self.leaves(self.heads, self.heads_file)
        self.unsigned()
        self.standing()

    # heads

    def read_heads(self, file: Path, where: str) -> Iterator[Head]:
        """The heads of a file, each with a signature that was verified or told to be wrong."""
        for line, text in enumerate(file.read_bytes().splitlines(), 1):
            try:
                held = json.loads(text)
                statement, signature = str(held["statement"]), bytes.fromhex(held["signature"])
                spoken = json.loads(statement)
                says: dict[str, Any] = {name: spoken[name] for name in SAID}
                numbers = [int(says[name]) for name in ("number", "first", "last")]
                if datetime.fromisoformat(says["at"]).tzinfo is None:
                    raise ValueError("a time without a zone")
                key, algorithm, root = bytes.fromhex(says["key"]), str(says["algorithm"]), says["root"]
                leaves = [str(leaf) for leaf in held["leaves"]]
                leaf_hashes = [bytes.fromhex(leaf) for leaf in leaves]
                stamp = bytes.fromhex(held.get("stamp", ""))
                minutes = spoken.get("utc_offset_minutes")
                clock = None if minutes is None else timezone(timedelta(minutes=minutes))
            except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
                self.problem("head.unreadable", where=where, line=line)
                continue
            says.update(zip(("number", "first", "last"), numbers), algorithm=algorithm)  # noqa: B905 (Python 3.9)
            head = Head(says, statement, leaves, stamp, clock, spoken.get("check"))
            if spoken.get("of", "ledger") != self.name:
                self.problem("head.other", where=where, number=numbers[0])
            if algorithm not in VERIFIERS:
                self.problem("head.algorithm", where=where, number=numbers[0], algorithm=algorithm)
            elif not signed_with(algorithm, key, signature, statement.encode()):
                self.problem("head.signature", where=where, **head.about)
            if len(leaves) != numbers[2] - numbers[1] + 1 or not leaves or merkle_root(leaf_hashes).hex() != root:
                self.problem("head.root", where=where, number=numbers[0])
                head = head._replace(leaves=[])
            yield head

    def head_chain(self) -> None:
        """Heads follow each other without a gap."""
        if not self.heads and (self.rows or self.name == "ledger"):
            self.problem("head.none")
        previous, number, last = FIRST, 0, 0
        for head in self.heads:
            expected = (number + 1, last + 1, previous)
            if (head.says["number"], head.says["first"], head.says["previous"]) != expected:
                self.problem("head.order", where=self.heads_file, number=head.says["number"])
            previous, number, last = head.hash, int(head.says["number"]), int(head.says["last"])
        self.keys()

    def keys(self) -> None:
        """One key signed all heads, or each handed over to the next; the newest is the bundle's, or did so to it."""
        where = {"where": self.heads_file}
        for before, head in zip(self.heads, self.heads[1:]):  # noqa: B905 (Python 3.9)
            about = {"number": head.says["number"], "algorithm": head.says["algorithm"]}
            if head.key != before.key and follows(before, head):
                say("·", "told.handover", **where, **about)
                if len({new for old, new in self.check.steps if old == before.key}) > 1:
                    say("·", "told.handed_over_twice", **where, number=head.says["number"])
            elif head.key != before.key:
                self.problem("head.no_handover", **where, **about)
        if self.heads and self.heads[-1].key not in self.check.keys:
            self.problem("head.key", **where, number=self.heads[-1].says["number"])
        self.retired()

    def retired(self) -> None:
        """No head is of a key that had handed over in the other book before: who has a retired key signs nothing."""
        for other in self.check.books:
            mine, theirs, place, waiting = set[bytes](), set[bytes](), 0, list[Head]()
            for head in self.heads:
                mine.add(head.key)
                while place < len(other.heads) and other.heads[place].at < head.at:
                    theirs.add(other.heads[place].key)
                    place += 1
                if head.key in theirs and other.heads[place - 1].key not in mine:
                    waiting.append(head)
                elif waiting:
                    self.retired_since(waiting, other, head if head.key in theirs else None)
                    waiting = []
            self.retired_since(waiting, other, None)

    def retired_since(self, heads: Sequence[Head], other: Book, then: Head | None) -> None:
        """Heads of a retired key are a problem, unless the one behind them, of the key that followed, says that
        somebody vouches for them: whoever has only the retired key cannot make that."""
        said = json.loads(then.text).get("accepted") if then is not None else None
        for head in heads:
            about = {"number": head.says["number"], "other": other.heads_file}
            if then is not None and isinstance(said, dict):
                told = {name: str(said.get(name, "—")) for name in ("who", "why")}
                say("·", "head.accepted", where=self.heads_file, by=then.says["number"], **about, **told)
            else:
                self.problem("head.retired", where=self.heads_file, **about)

    def stamps(self, trusted: Sequence[Certificate]) -> None:
        """The stamps on heads are those of an authority that the auditor trusts, and of the times that heads say."""
        stamped = [head for head in self.heads if head.stamp]
        where = {"where": self.heads_file}
        if not trusted or not stamped:
            if stamped:
                say("·", "told.stamps_unchecked", **where, stamps=len(stamped))
            elif trusted and self.heads:
                self.problem("stamp.none", **where)
            return
        good: dict[int, datetime] = {}
        for head in stamped:
            number = int(head.says["number"])
            try:
                good[number] = stamp_of(head.stamp, head.text.encode(), trusted).at
            except NotStamped as error:
                self.problem("stamp.wrong", **where, number=number, problem=error)
                continue
            if datetime.fromisoformat(head.says["at"]) - good[number] > CLOCKS_DIFFER:
                about = {"number": number, "at": head.says["at"], "stamped": good[number].isoformat()}
                self.problem("stamp.early", **where, **about)
        self.proved_by(good)

    def proved_by(self, stamps: Mapping[int, datetime]) -> None:
        """Say since when heads were there. A stamp is one on all heads before it; `stamps`: by number of the head."""
        first: datetime | None = None  # the earliest stamp on a head or on one after it
        late: dict[datetime, list[int]] = {}
        unproved: list[int] = []
        for head in reversed(self.heads):
            number = int(head.says["number"])
            if number in stamps:
                first = stamps[number] if first is None else min(first, stamps[number])
            if first is None:
                unproved.insert(0, number)
            elif first - datetime.fromisoformat(head.says["at"]) > timedelta(days=1):
                late.setdefault(first, []).insert(0, number)
        where = {"where": self.heads_file}
        for moment, numbers in sorted(late.items()):
            say("·", "told.stamp_late", **where, numbers=ranges(numbers), stamped=moment.isoformat())
        if unproved:
            say("·", "told.unstamped", **where, numbers=ranges(unproved))
        if stamps:
            newest = max(stamps)
            about = {"stamps": len(stamps), "number": newest, "stamped": stamps[newest].isoformat()}
            say("·", "told.stamps", **where, **about)

    def kept_heads(self, file: Path) -> None:
        """The heads that were kept elsewhere are those of the bundle, and vouch for its rows."""
        ours = {head.says["number"]: head for head in self.heads}
        kept = list(self.read_heads(file, str(file)))
        if not kept:
            self.problem("kept.none", file=file)
        for head in kept:
            if head.says["number"] not in ours:
                self.problem("kept.gone", **head.about)
                if head.at > self.check.made:
                    about = {"made": self.check.made.isoformat(), "at": head.says["at"]}
                    say("·", "told.older_bundle", number=head.says["number"], **about)
            elif ours[head.says["number"]].text != head.text:
                self.problem("kept.differs", **head.about)
                if head.key != ours[head.says["number"]].key:
                    self.problem("head.key", where=self.heads_file, number=head.says["number"])
        self.leaves(kept, str(file))
        program = self.check.folder / "check.py"
        for head in kept[-1:]:
            if head.program and program.is_file() and sha256(program) != head.program:
                say("·", "told.program_since", number=head.says["number"], hash=head.program)

    # rows

    def local(self, row: Row) -> datetime:
        """When a row was written, by the city's clock of the head that signed it; where that says none, or there is
        none, by the manifest's."""
        place = bisect.bisect_left(self.ends, row.sequence)
        signed = self.heads[place].clock if place < len(self.heads) else None
        return row.at.astimezone(signed or self.check.clock)

    def read_rows(self, file: str) -> Iterator[Row]:
        """The rows of a file of the bundle in its order."""
        for line, text in enumerate((self.check.folder / file).read_bytes().splitlines(), 1):
            try:
                row = json.loads(text)
                at = datetime.fromisoformat(row["at"]).replace(tzinfo=timezone.utc)  # noqa: UP017 (Python 3.9)
                body = dict(json.loads(row["body"]))
                kind, subject = (row["kind"], row["subject"]) if self.name == "ledger" else (row["action"], "")
                names = (int(row["sequence"]), str(row["previous"]), str(kind), str(subject))
                yield Row(line, text, *names, row.get("version"), at, body)
            except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
                self.problem("row.unreadable", line=line)

    def row_chain(self) -> None:
        """Rows are numbered without a gap, and each names the hash of the row before."""
        before = {int(head.says["last"]): str(head.says["chain"]) for head in self.heads}
        expected = self.span[0] if self.partial else 1
        last = expected - 1
        previous = before.get(last, FIRST)
        for row in self.rows:
            if row.sequence != expected:
                self.problem("row.number", line=row.line, found=row.sequence, expected=expected)
            if row.previous != previous:
                self.problem("row.chain", before=last, row=row.sequence)
            previous, last, expected = hashlib.sha256(row.text).hexdigest(), row.sequence, row.sequence + 1

    def times(self) -> None:
        """No row is of an earlier time than the one before it, and no head than what it signed: whoever has the key
        could add today what is told to be of last week. A head may be younger than rows behind it: it takes so many."""
        for before, row in zip(self.rows, self.rows[1:]):  # noqa: B905 (Python 3.9)
            if before.at - row.at > CLOCKS_DIFFER:
                about = {"at": moment_of(row.at), "before": before.sequence, "then": moment_of(before.at)}
                self.problem("row.early", row=row.sequence, **about)
        for head in self.heads:
            last = self.by_number.get(int(head.says["last"]))
            if last is not None and last.at - head.at > CLOCKS_DIFFER:
                about = {"number": head.says["number"], "last": last.sequence}
                times = {"at": moment_of(head.at), "then": moment_of(last.at)}
                self.problem("head.early", where=self.heads_file, **about, **times)

    def leaves(self, heads: Sequence[Head], where: str) -> None:
        """Each row is the one that a head signed; those of a partial bundle that it holds."""
        for head in heads:
            gone, changed = list[int](), list[int]()
            for number, leaf in enumerate(head.leaves, int(head.says["first"])):
                row = self.by_number.get(number)
                if row is None and (not self.partial or self.span[0] <= number <= self.span[1]):
                    gone.append(number)
                elif row is not None and hashlib.sha256(b"\x00" + row.text).hexdigest() != leaf:
                    changed.append(number)
            for code, numbers in (("row.changed", changed), ("row.gone", gone)):
                if numbers:
                    self.problem(code, rows=ranges(numbers), number=head.says["number"], where=where)

    def standing(self) -> None:
        """Each row from before the period is a release of before it that a head signed."""
        signed = {
            number: (leaf, int(head.says["number"]))
            for head in self.heads
            for number, leaf in enumerate(head.leaves, int(head.says["first"]))
        }
        for row in self.earlier:
            leaf, number = signed.get(row.sequence, ("", 0))
            early = row.kind == RELEASE and row.sequence < self.span[0]
            if not early or hashlib.sha256(b"\x00" + row.text).hexdigest() != leaf:
                self.problem("row.changed", rows=ranges([row.sequence]), number=number, where=EARLIER)

    def unsigned(self) -> None:
        """Every row is one that some head covers."""
        signed = max((int(head.says["last"]) for head in self.heads), default=0)
        if late := [number for number in sorted(self.by_number) if number > signed or number < 1]:
            self.problem("row.unsigned", rows=ranges(late))
        if self.partial:
            about = {"zh": self.title, "en": self.name}
            say("·", "told.partial", **about, first=self.span[0], last=self.span[1], signed=signed)


def backed(release: Row, said: Mapping[str, Any], about: Sequence[Row], keys: Sequence[Row]) -> bool:
    """Whether the rows before a release are those that it says. `about`: the rows about its subject; `keys`: those
    about keys of approvers."""
    earlier = [one for one in about if one.sequence < release.sequence]
    rows = {one.sequence: one for one in earlier}
    proposal, approval = rows.get(said["proposal"]), rows.get(said["row"])
    if proposal is None or approval is None or not answers(approval, proposal, earlier, keys):
        return False
    since = [one for one in earlier if one.sequence > approval.sequence]
    others = [one for one in since if one.kind == PROPOSAL]
    return (
        proposal.body["who"] == said["proposer"]
        and approval.body["who"] == said["approver"]
        and proposal.body["terms"] == said["terms"]
        and not any(one.kind == WITHDRAWAL for one in since)
        and not any(one.kind == APPROVAL_END and one.body["proposal"] == proposal.sequence for one in since)
        and not any(answers(one, other, earlier, keys) for one in since for other in others)
        and not (said["asks"] == "each" and any(one.kind == RELEASE for one in since))
    )


def answers(approval: Row, proposal: Row, about: Sequence[Row], keys: Sequence[Row]) -> bool:
    """Whether an approval is another person's signed word on a proposal that was open then: not replaced, answered or
    ended, the subject not withdrawn since."""
    if (proposal.kind, approval.kind) != (PROPOSAL, APPROVAL) or approval.body["proposal"] != proposal.sequence:
        return False
    between = [one for one in about if proposal.sequence < one.sequence < approval.sequence]
    return (
        proposal.sequence < approval.sequence
        and proposal.body["who"] != approval.body["who"]
        and not any(one.kind in (PROPOSAL, WITHDRAWAL) for one in between)
        and not any(one.kind == APPROVAL_END and one.body["proposal"] == proposal.sequence for one in between)
        and signed_by_approver(approval, proposal, keys)
        and not any(answers(one, proposal, about, keys) for one in between if one.kind == APPROVAL)
    )


def is_before(number: object, first: int) -> bool:
    """Whether this is the number of a row before a bundle. Rows begin with 1: a forged 0 is before none."""
    return isinstance(number, int) and 1 <= number < first


def key_named(rows: Mapping[int, Row], approval: int, keys: Sequence[Row]) -> object:
    """The row of the key with which an approval is signed; of one that is not, and before which no key is known, the
    first row of all, where a key may stand."""
    if approval not in rows:
        return None
    known = any(one.sequence < approval for one in keys)
    return rows[approval].body.get("key", None if known else 1)


def signed_by_approver(approval: Row, proposal: Row, keys: Sequence[Row]) -> bool:
    """Whether an approval is signed with the key that its approver had then. Before the first key none was signed."""
    said, earlier = approval.body, [one for one in keys if one.sequence < approval.sequence]
    if not earlier and "key" not in said:
        return True
    mine = [one for one in earlier if one.body["user"] == said["who"]]
    key = mine[-1] if mine else None
    if key is None or key.body["key"] is None or said.get("key") != key.sequence:
        return False
    statement: dict[str, Any] = {
        **{name: proposal.body.get(name) for name in ("terms", "from", "contract", "contract_version")},
        **{"format": APPROVAL_FORMAT, "product": proposal.subject, "proposal": proposal.sequence},
        **{"edition": json.loads(proposal.text)["edition"], "proposer": proposal.body["who"]},
        **{"approver": said["who"], "key": key.sequence},
    }
    return has_signature(said, statement, key)


def signed_grant(about: Mapping[str, Any], said: Mapping[str, Any], key: Row) -> bool:
    """Whether a row of the audit, with this body, approves a grant with the signature of this key."""
    which = {name: about.get(name) for name in ("grant", "recipient", "product")}
    terms = {name: said.get(name) for name in GRANT_TERMS}
    statement = {**which, **terms, "format": GRANT_FORMAT, "approver": said["actor"], "key": key.sequence}
    return key.body["user"] == said["actor"] and has_signature(said, statement, key)


def has_signature(said: Mapping[str, Any], statement: Mapping[str, Any], key: Row) -> bool:
    """Whether the body of a row has the signature of an enrolled key under a statement."""
    if key.body["key"] is None:
        return False
    message = json.dumps(statement, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    try:
        given = bytes.fromhex(said.get("signature", ""))
    except (TypeError, ValueError):
        return False
    return signed_with(key.body["algorithm"], bytes.fromhex(key.body["key"]), given, message)


def touched(word: Row, release: Row) -> bool:
    """Whether an erasure or ended period changed a released version."""
    return str(release.version) in word.body.get("releases", {}).get(release.subject, {})


def follows(before: Head, head: Head) -> bool:
    """Whether the key of one head was handed over to by that of the head before: it signed that this key follows, and
    after which head."""
    try:
        signature = bytes.fromhex(json.loads(head.text)["handover"])
    except (ValueError, KeyError, TypeError):
        return False
    message = handover(head.says["algorithm"], head.says["key"], before.hash).encode()
    return signed_with(before.says["algorithm"], before.key, signature, message)


def leading_to(key: bytes, steps: Iterable[tuple[bytes, bytes]]) -> set[bytes]:
    """A key, and those from which handovers lead to it."""
    known, keys = set(steps), {key}
    while more := {old for old, new in known if new in keys} - keys:
        keys |= more
    return keys


def handover(algorithm: str, key: str, head: str) -> str:
    """What a key signs when another one follows it: that one, and the hash of the last head before it."""
    said = {"algorithm": algorithm, "format": "citylake-handover/1", "head": head, "key": key}
    return json.dumps(said, separators=(",", ":"), sort_keys=True)


COMMIT = re.compile(r"\d{20}\.json")
"""The name of a commit of a Delta log."""

# signatures

ED25519_KEY = bytes.fromhex("302a300506032b6570032100")
SM2_KEY = bytes.fromhex("3059301306072a8648ce3d020106082a811ccf5501822d03420004")


def public_key(pem: bytes) -> bytes:
    """The key of a PEM text, a SubjectPublicKeyInfo in DER. Raises ValueError for any that signs no heads."""
    lines = pem.decode("ascii").strip().splitlines()
    if len(lines) < 3 or lines[0] != "-----BEGIN PUBLIC KEY-----" or lines[-1] != "-----END PUBLIC KEY-----":
        raise ValueError("not PEM / 不是 PEM")
    key = base64.b64decode("".join(lines[1:-1]), validate=True)
    if not ((key.startswith(ED25519_KEY) and len(key) == 44) or (key.startswith(SM2_KEY) and sm2_point(key))):
        raise ValueError("neither Ed25519 nor SM2 / 既不是 Ed25519 也不是 SM2")
    return key


def given_key(file: Path) -> bytes:
    """The key of a file that was kept elsewhere. Raises NotReadable if there is none in it."""
    try:
        return public_key(file.read_bytes())
    except ValueError as error:
        raise NotReadable("bad.key", file=file, problem=error) from error


def signed_with(algorithm: str, key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether a signature by a named algorithm is good. `key`: SubjectPublicKeyInfo in DER, of that algorithm."""
    verify = VERIFIERS.get(algorithm)
    return verify is not None and verify(key, signature, message)


def ed25519(key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether a signature by RFC 8032 is good."""
    if not key.startswith(ED25519_KEY):
        return False
    try:
        Ed25519PublicKey.from_public_bytes(key[len(ED25519_KEY) :]).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


# SM2: GB/T 32918.2-2016 over the curve of GB/T 32918.5-2017. Verifying has no secrets: whole numbers of Python do.

SM2_P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
SM2_B = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
SM2_N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
SM2_G = (
    0x32C4AE2C1F1981195F9904466A39C9948FE30BBFF2660BE1715A4589334C74C7,
    0xBC3736A2F4F6779C59BDCEE36B692153D0A9877CC62A474002DF32E52139F0A0,
)
SM2_USER = b"1234567812345678"  # who signs, where nothing else is agreed (GB/T 35276)
INFINITY = (1, 1, 0)


def sm2(key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether a signature (DER, GB/T 35276) is good: SM3, and the user that is meant where none is named."""
    point = sm2_point(key)
    try:
        r, s = decode_dss_signature(signature)
    except ValueError:
        return False
    if point is None or not (0 < r < SM2_N and 0 < s < SM2_N):
        return False
    numbers = (SM2_P - 3, SM2_B, *SM2_G, *point)
    user = (8 * len(SM2_USER)).to_bytes(2, "big") + SM2_USER
    about = sm3_of(user + b"".join(number.to_bytes(32, "big") for number in numbers))
    t = (r + s) % SM2_N
    x, _, z = sm2_sum(s, SM2_G, t, point)
    if t == 0 or z == 0:
        return False
    found = x * pow(z * z, -1, SM2_P) % SM2_P
    return (int.from_bytes(sm3_of(about + message), "big") + found) % SM2_N == r


def sm2_point(key: bytes) -> tuple[int, int] | None:
    """The point of an SM2 key, None for any other key and for a point that is not on the curve."""
    if not key.startswith(SM2_KEY) or len(key) != len(SM2_KEY) + 64:
        return None
    x, y = int.from_bytes(key[-64:-32], "big"), int.from_bytes(key[-32:], "big")
    on_curve = x < SM2_P and y < SM2_P and (y * y - (x * x - 3) * x - SM2_B) % SM2_P == 0
    return (x, y) if on_curve else None


def sm2_sum(s: int, one: tuple[int, int], t: int, other: tuple[int, int]) -> tuple[int, int, int]:
    """`s` times a point and `t` times another, both in one walk over the bits; x / z^2 and y / z^3 are its place."""
    first, second = (*one, 1), (*other, 1)
    added = {(1, 0): first, (0, 1): second, (1, 1): sm2_add(first, second)}
    found = INFINITY
    for bit in range(255, -1, -1):
        found = sm2_double(found)
        if point := added.get((s >> bit & 1, t >> bit & 1)):
            found = sm2_add(found, point)
    return found


def sm2_double(one: tuple[int, int, int]) -> tuple[int, int, int]:
    """Twice a point."""
    x, y, z = one
    square, slope = y * y % SM2_P, 3 * (x - z * z) * (x + z * z) % SM2_P
    part = 4 * x * square % SM2_P
    new = (slope * slope - 2 * part) % SM2_P
    return new, (slope * (part - new) - 8 * square * square) % SM2_P, 2 * y * z % SM2_P


def sm2_add(one: tuple[int, int, int], other: tuple[int, int, int]) -> tuple[int, int, int]:
    """The sum of two points."""
    (x, y, z), (u, v, w) = one, other
    if z == 0 or w == 0:
        return other if z == 0 else one
    left, right = x * w * w % SM2_P, u * z * z % SM2_P
    low, high = y * w * w * w % SM2_P, v * z * z * z % SM2_P
    run, rise = (right - left) % SM2_P, (high - low) % SM2_P
    if run == 0:
        return sm2_double(one) if rise == 0 else INFINITY
    square = run * run % SM2_P
    cube, part = square * run % SM2_P, left * square % SM2_P
    new = (rise * rise - cube - 2 * part) % SM2_P
    return new, (rise * (part - new) - low * cube) % SM2_P, run * z * w % SM2_P


VERIFIERS = {"ed25519": ed25519, "sm2": sm2}


# time stamps: RFC 3161 in CMS (RFC 5652), DER (X.690)

CLOCKS_DIFFER = timedelta(minutes=5)
SEQUENCE, SET, INTEGER, OCTETS, OID, TIME, FIRST_FIELD = 0x30, 0x31, 0x02, 0x04, 0x06, 0x18, 0xA0
SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
TST_INFO = bytes.fromhex("2a864886f70d0109100104")
CONTENT_TYPE, MESSAGE_DIGEST = bytes.fromhex("2a864886f70d010903"), bytes.fromhex("2a864886f70d010904")
DIGESTS: dict[bytes, hashes.HashAlgorithm] = {
    bytes.fromhex("608648016503040201"): hashes.SHA256(),
    bytes.fromhex("608648016503040202"): hashes.SHA384(),
    bytes.fromhex("608648016503040203"): hashes.SHA512(),
}


class Value(NamedTuple):
    """One DER value; `whole` has its tag and length too."""

    tag: int
    content: bytes
    whole: bytes

    def parts(self, *tags: int) -> list[Value]:
        """What it consists of; the first parts have these tags. Raises NotStamped for others."""
        found, at = list[Value](), 0
        while at < len(self.content):
            found.append(read_der(self.content, at))
            at += len(found[-1].whole)
        if [one.tag for one in found[: len(tags)]] != list(tags):
            raise NotStamped("DER")
        return found


def read_der(data: bytes, at: int = 0) -> Value:
    """The value that begins there. Raises NotStamped for what is cut off."""
    if len(data) < at + 2:
        raise NotStamped("DER")
    length, start = data[at + 1], at + 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[at + 2 : start], "big")
    if start + length > len(data):
        raise NotStamped("DER")
    return Value(data[at], data[start : start + length], data[at : start + length])


BAD_CERTIFICATES = (DuplicateExtension, InvalidVersion, UnsupportedGeneralNameType)


class Stamp(NamedTuple):
    """What a stamp says: the moment (UTC), and the number that it was asked with, if there was one."""

    at: datetime
    nonce: int | None


def stamp_of(token: bytes, message: bytes, trusted: Sequence[Certificate]) -> Stamp:
    """The stamp of an authority on a message. Raises NotStamped for another message, another authority, or no stamp."""
    try:
        return read_stamp(token, message, trusted)
    except (ValueError, IndexError, TypeError, UnsupportedAlgorithm, *BAD_CERTIFICATES) as error:
        raise NotStamped(type(error).__name__) from error


def read_stamp(token: bytes, message: bytes, trusted: Sequence[Certificate]) -> Stamp:
    """The same, of a token that is one."""
    kind, content = read_der(token).parts(OID, FIRST_FIELD)[:2]
    (signed,) = content.parts(SEQUENCE)
    fields = signed.parts(INTEGER, SET, SEQUENCE)
    about, wrapped = fields[2].parts(OID, FIRST_FIELD)[:2]
    if kind.content != SIGNED_DATA or about.content != TST_INFO:
        raise NotStamped("no token / 不是时间戳")
    (info,) = wrapped.parts(OCTETS)
    said = read_der(info.content).parts(INTEGER, OID, SEQUENCE, INTEGER, TIME)
    algorithm, imprint = said[2].parts(SEQUENCE, OCTETS)[:2]
    if digest(algorithm, message) != imprint.content:
        raise NotStamped("other words / 盖的是别的内容")
    text = said[4].content.decode("ascii", "replace")
    moment = datetime.strptime(text[:14] + text[-1:], "%Y%m%d%H%M%SZ").replace(tzinfo=timezone.utc)  # noqa: UP017
    nonces = [int.from_bytes(one.content, "big") for one in said[5:] if one.tag == INTEGER]
    embedded = [
        load_der_x509_certificate(one.whole)
        for field in fields[3:-1]
        if field.tag == FIRST_FIELD
        for one in field.parts()
    ]
    (signer,) = fields[-1].parts(SEQUENCE)
    for certificate in (*embedded, *trusted):
        if believed(certificate, moment, trusted) and signed_by(certificate, signer, info.content):
            return Stamp(moment, nonces[0] if nonces else None)
    raise NotStamped("other authority / 不是所信机构")


def digest(algorithm: Value, message: bytes) -> bytes:
    """The hash of a message by a named algorithm. Raises NotStamped for one that is not known here."""
    (name, *_) = algorithm.parts(OID)
    if name.content not in DIGESTS:
        raise NotStamped("hash / 哈希算法")
    made = hashes.Hash(DIGESTS[name.content])
    made.update(message)
    return made.finalize()


def believed(certificate: Certificate, moment: datetime, trusted: Sequence[Certificate]) -> bool:
    """Whether a certificate is for time stamps, was valid then, and is trusted or issued by one that is."""
    try:
        uses = certificate.extensions.get_extension_for_class(ExtendedKeyUsage).value
    except ExtensionNotFound:
        return False
    if ExtendedKeyUsageOID.TIME_STAMPING not in uses:
        return False
    if not valid(certificate, moment):
        return False
    return certificate in trusted or any(issued(certificate, one) for one in trusted)


def valid(certificate: Certificate, moment: datetime) -> bool:
    """Whether a moment, which has a zone, lies within the validity of a certificate."""
    if hasattr(certificate, "not_valid_before_utc"):
        return certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc
    # before cryptography 42 what a certificate says has no zone
    told = moment.astimezone(timezone.utc).replace(tzinfo=None)  # noqa: UP017 (Python 3.9)
    return bool(certificate.not_valid_before <= told <= certificate.not_valid_after)


def issued(certificate: Certificate, by: Certificate) -> bool:
    """Whether a certificate was signed with another one's key."""
    try:
        certificate.verify_directly_issued_by(by)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def signed_by(certificate: Certificate, signer: Value, content: bytes) -> bool:
    """Whether a certificate's key signed this content (RFC 5652, 5.4: the attributes, one of which is its digest)."""
    fields = signer.parts(INTEGER)
    algorithm, attributes, signature = fields[2], fields[3], fields[5]
    if attributes.tag != FIRST_FIELD or signature.tag != OCTETS:
        return False
    said = {name.content: values.content for name, values, *_ in (one.parts(OID, SET) for one in attributes.parts())}
    wanted = digest(algorithm, content)
    if said.get(MESSAGE_DIGEST) != bytes([OCTETS, len(wanted)]) + wanted:
        return False
    if said.get(CONTENT_TYPE) != bytes([OID, len(TST_INFO)]) + TST_INFO:
        return False
    used, key = DIGESTS[algorithm.parts(OID)[0].content], certificate.public_key()
    message = bytes([SET]) + attributes.whole[1:]  # signed as a SET, sent as a field
    try:
        if isinstance(key, RSAPublicKey):
            key.verify(signature.content, message, PKCS1v15(), used)
        elif isinstance(key, EllipticCurvePublicKey):
            key.verify(signature.content, message, ECDSA(used))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def unlike_ours(said: Mapping[str, Any], protocol: Mapping[str, Any], made_up: Set[bool]) -> list[str]:
    """What the log of a table tells readers besides columns and files that citylake does not write, by Delta's names.
    `made_up`: whether the table is described as made-up data, or either."""
    kept = {
        "protocol": protocol["minReaderVersion"] == 1 and not protocol.get("readerFeatures"),
        "name": said.get("name") is None,
        "description": said.get("description") in {IS_TEST if one else None for one in made_up},
        "configuration": said["configuration"] == CONFIGURATION,
        **{field["name"]: is_plain(field) for field in json.loads(said["schemaString"])["fields"]},
    }
    return [name for name, as_ours in kept.items() if not as_ours]


def is_plain(value: Any) -> bool:
    """Whether a field of a Delta schema, with what is in it, may be NULL and has no comment or other metadata."""
    if isinstance(value, list):
        return all(map(is_plain, value))
    if not isinstance(value, dict):
        return True
    own = all(value.get(name, True) is True for name in ("nullable", "containsNull", "valueContainsNull"))
    return own and not value.get("metadata") and all(is_plain(one) for name, one in value.items() if name != "metadata")


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """The root over hashes of leaves (RFC 6962, 2.1), level by level: a last one alone moves up as it is."""
    level = list(leaves)
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2])  # noqa: B905 (the odd one is added below)
        level = [hashlib.sha256(b"\x01" + left + right).digest() for left, right in pairs] + (
            level[-1:] if len(level) % 2 else []
        )
    return level[0]


def offset_of(clock: timezone | None) -> str:
    """How far a clock is from UTC: +0800."""
    return datetime(2000, 1, 1, tzinfo=clock).strftime("%z")


def moment_of(at: datetime) -> str:
    """A moment to the second in UTC."""
    return at.astimezone(timezone.utc).isoformat(timespec="seconds")  # noqa: UP017 (Python 3.9)


def ranges(numbers: Iterable[int]) -> str:
    """Numbers as ranges: 2-4, 7."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in found)


def sha256(path: Path) -> str:
    """SHA-256 (hex) of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def published_files(row: Row) -> Iterator[tuple[str, dict[str, Any]]]:
    """The downloads and the data files of a release, by path below the lake, with their checksums; None for one that
    the row does not say."""
    for file in row.body.get("files", ()):
        yield f"released/files/{row.subject}/v{row.version}/{file['name']}", {key: file.get(key) for key in CHECKSUMS}
    for file in row.body.get("data", ()):
        yield file["path"], {key: file.get(key) for key in CHECKSUMS}


def checksums(path: Path) -> dict[str, str]:
    """SHA-256 and SM3 (hex) of a file, read once."""
    international, national = hashlib.sha256(), sm3()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            international.update(part)
            national.update(part)
    return {"sha256": international.hexdigest(), "sm3": finished(national).hex()}


def sm3_of(data: bytes) -> bytes:
    """The SM3 of data: 32 bytes."""
    national = sm3()
    national.update(data)
    return finished(national)


def finished(national: Any) -> bytes:
    """What an SM3 comes to, whoever makes it."""
    return bytes(national.digest() if hasattr(national, "digest") else national.finalize())


def sm3() -> Any:
    """An SM3 by the OpenSSL of Python, or by that of cryptography where Python's was built without."""
    try:
        return hashlib.new("sm3")
    except ValueError:
        return hashes.Hash(hashes.SM3())


def say(mark: str, code: str, **about: object) -> None:
    """Print a text in Chinese, then in English."""
    chinese, english = (plain(text.format(**about)) for text in TEXTS[code])
    print(f"{mark} {chinese}".strip())
    print(f"  {english}")


def plain(text: str) -> str:
    """A text without what a terminal would obey: a name in a bundle may hold it, to paint over what is told."""
    kept = {sign for sign in text if sign.isprintable() or sign == "\u3000"}  # the space of Chinese texts
    return "".join(sign if sign in kept else sign.encode("unicode_escape").decode() for sign in text)


def authorities(file: Path) -> list[Certificate]:
    """The certificates (PEM) of a file. Raises NotReadable if there are none."""
    blocks = re.findall(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", file.read_bytes(), re.DOTALL)
    try:
        found = [load_pem_x509_certificate(block) for block in blocks]
    except ValueError as error:
        raise NotReadable("bad.tsa", file=file, problem=error) from error
    if not found:
        raise NotReadable("bad.tsa", file=file, problem="-----BEGIN CERTIFICATE-----")
    return found


def check(arguments: argparse.Namespace, ambiguous: Iterable[str] = ()) -> int:
    """Check all there is to check; the number of problems. `ambiguous`: names in the archive that the bundle came in.
    Raises NotReadable, and OSError for a given file."""
    one = Check(arguments.bundle)
    for name in ambiguous:
        one.problem("file.ambiguous", file=name)
    one.files()
    one.manifest_signature()
    if arguments.key:
        one.kept_key(arguments.key)
    trusted = authorities(arguments.tsa) if arguments.tsa else []
    one.ledger.all()
    one.ledger.stamps(trusted)
    if arguments.heads:
        one.ledger.kept_heads(arguments.heads)
    else:
        say("·", "told.no_heads", option="--heads", zh="账本", en="ledger")
    if one.audit:
        one.audit.all()
        one.audit.stamps(trusted)
        say("·", "told.audit", rows=len(one.audit.rows), heads=len(one.audit.heads))
    else:
        say("·", "told.no_audit")
    if arguments.audit_heads:
        one.kept_audit_heads(arguments.audit_heads)
    elif one.audit and one.audit.rows:
        say("·", "told.no_heads", option="--audit-heads", zh="审计", en="audit")
    one.clocks()
    one.program()
    one.evidence()
    one.editions()
    one.approvals()
    if one.audit:
        one.grants(one.audit.rows)
    one.told()
    if arguments.lake:
        one.lake(arguments.lake)
        one.logs(arguments.lake)
    if arguments.published_on:
        one.published_on(arguments.published_on)
    if arguments.received:
        one.received(arguments.received)
    if one.ledger.heads:
        newest = one.ledger.heads[-1]
        says = newest.says
        say("·", "told.newest", number=says["number"], at=says["at"], last=says["last"], hash=newest.hash)
    if one.problems:
        say("✗", "told.bad", problems=one.problems)
    else:
        say("✓", "told.good", rows=len(one.rows), heads=len(one.ledger.heads))
    return one.problems


def check_archive(arguments: argparse.Namespace) -> int:
    """As `check`, of a bundle that may be one file: it is unpacked for as long as the check takes."""
    if not arguments.bundle.is_file():
        return check(arguments)
    with tempfile.TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(arguments.bundle) as archive:
                inside = archive.infolist()
                if any(one.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for one in inside):
                    raise zipfile.BadZipFile("compression / 压缩方法")
                archive.extractall(folder)  # names that lead out of the folder are cut
        except NOT_UNPACKED as error:
            raise NotReadable("bad.bundle", folder=arguments.bundle, problem=str(error)) from error
        arguments.bundle = Path(folder)
        return check(arguments, ambiguous_names([one.orig_filename for one in inside]))


NOT_UNPACKED = (zipfile.BadZipFile, zipfile.LargeZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError)


def ambiguous_names(names: Sequence[str]) -> list[str]:
    """The names in an archive of which programs that unpack it make different files: one that is there twice, for some
    systems do not tell upper from lower case, and one that is not a plain path below the folder."""
    places = Counter(name.casefold() for name in names)
    return sorted({name for name in names if places[name.casefold()] > 1 or not is_plain_path(name)})


def is_plain_path(name: str) -> bool:
    """Whether a name in an archive is a path below the folder, whoever reads it."""
    parts = name[:-1].split("/") if name.endswith("/") else name.split("/")
    return name.isprintable() and not any(part in ("", ".", "..") or {*part} & {*"\\:"} for part in parts)


def check_receipt(arguments: argparse.Namespace) -> int:
    """Check a receipt and the files beside it; the number of problems. Raises OSError, ValueError."""
    folder = arguments.bundle = arguments.receipt
    message, signature = (folder / "statement.json").read_bytes(), (folder / "signature.bin").read_bytes()
    said = json.loads(message)
    key, problems = bytes.fromhex(said["key"]), 0
    if not signed_with(said["algorithm"], key, signature, message):
        say("✗", "receipt.signature")
        return 1
    if said.get("format") not in RECEIPTS:  # whatever else this key signs is none, a head of the ledger for one
        say("✗", "receipt.format", format=said.get("format", "—"), known="、".join(RECEIPTS))
        return 1
    if arguments.key and given_key(arguments.key) != key:
        say("✗", "receipt.key")
        problems += 1
    beside = folder / "key.pem"
    if beside.is_file() and not _is_key(beside, key):
        say("✗", "receipt.key_file")
        problems += 1
    problems += files_beside(folder, said)
    about = {name: said.get(name, "—") for name in ("from", "recipient", "at")}
    say("·", "receipt.said", **about, products="、".join(sorted(products_in(said))) or "—")
    if not arguments.key:
        say("·", "receipt.own_key", key=hashlib.sha256(key).hexdigest())
    say("✗" if problems else "✓", "receipt.bad" if problems else "receipt.good", problems=problems)
    return problems


def files_beside(folder: Path, said: Mapping[str, Any]) -> int:
    """Tell of every file beside a receipt, and below, whether the receipt has it, by its name where it says names; the
    number of those that it has not. Only the files of the receipt itself, at the top, are passed over."""
    named = {name: mark for name, _, mark in said.get("files", ())}
    marks = {*named.values(), *(one["sha256"] for one in said.get("reads", ()) if one.get("sha256"))}
    problems, there = 0, set()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        file = path.relative_to(folder).as_posix()
        if file in OF_RECEIPT:
            continue
        mark = sha256(path)
        code = (
            "file" if mark == named.get(file, mark) and mark in marks else "renamed" if file in named else "other_file"
        )
        say("·" if code == "file" else "✗", f"receipt.{code}", file=file)
        problems += code != "file"
        there.add(file)
    if missing := sorted(named.keys() - there):
        say("·", "receipt.missing", files=len(missing), file=missing[0])
    return problems


def _is_key(file: Path, key: bytes) -> bool:
    try:
        return public_key(file.read_bytes()) == key
    except ValueError:
        return False


def products_in(said: Mapping[str, Any]) -> set[str]:
    """What a receipt is about: of a delivery one product, of reads all that were read."""
    return {one["product"] for one in (said, *said.get("reads", ())) if "product" in one}


NO_FORM = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


def main() -> int:
    """The command line; returns the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8")  # Windows would take its own code page
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = Path(__file__).resolve().parent
    parser.add_argument(
        "bundle", nargs="?", type=Path, default=here, help="证据包目录，默认本文件所在目录 / the bundle"
    )
    parser.add_argument("--heads", type=Path, help="另外留存的签名头 / heads kept elsewhere")
    parser.add_argument("--audit-heads", type=Path, help="另外留存的审计签名头 / heads of the audit kept elsewhere")
    parser.add_argument("--key", type=Path, help="另外留存的公钥 / public key kept elsewhere")
    parser.add_argument("--tsa", type=Path, help="您信任的时间戳机构的证书 / certificates of the authority you trust")
    parser.add_argument(
        "--lake", type=Path, help="数据湖目录，核对发布的文件 / folder of the lake: check published files"
    )
    parser.add_argument("--published-on", type=date.fromisoformat, help="某日发布了什么 / what was published on a day")
    parser.add_argument("--receipt", type=Path, help="核对回执及其旁的文件，不需要证据包 / a receipt, without a bundle")
    parser.add_argument("--received", metavar="PRODUCT", help="谁读过某产品 / who read a product")
    arguments = parser.parse_args()
    try:
        return 1 if (check_receipt if arguments.receipt else check_archive)(arguments) else 0
    except NotReadable as error:
        say("✗", error.code, **error.about)
        return 2
    except OSError as error:
        say("✗", "bad.file", file=error.filename, problem=error.strerror)
        return 2
    except NO_FORM as error:  # signed or not: no row has this form
        say("✗", "bad.form", folder=arguments.bundle, problem=f"{type(error).__name__}: {error}")
        return 2


if __name__ == "__main__":
    sys.exit(main())
