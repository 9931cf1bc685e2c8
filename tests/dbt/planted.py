"""What a small city may lack by chance, put into its departments' databases, so that no model of it is empty."""

from simulator import DemoCity

COMPANIES = """SELECT "PRIPID", "UNI_ SOCIAL_CRD_ CD", "ENTNAME", "LEREP" FROM scjg."E_BASEINFO"
    WHERE "ENTTYPE" IN ('1100', '1130', '1200') AND "REGSTATE" = '1' AND "APPRDATE" <> ''
    ORDER BY "APPRDATE", "PRIPID" """
AUTHORITY = """SELECT "XK_XKJG", "XK_XKJGDM" FROM xygs."T_XZXK" GROUP BY 1, 2 ORDER BY count(*) DESC, 2 LIMIT 1"""
PENALTY = """INSERT INTO xygs."T_XZCF" ("CF_BH", "CF_XDR_LB", "CF_WSH", "CF_WFXW", "CF_SY", "CF_CFLB1", "CF_NR",
        "CF_ZT", "CF_GSJZQ", "CF_XDR_SHXYM", "CF_XDR_MC", "CF_FR", "CF_CFJG", "CF_CFJGDM", "CF_JDRQ", "GXSJ")
    VALUES ('CF34159999999999', '1', '六市监罚〔2026〕9999号', '未按规定公示年度报告', '逾期未报', '1', '警告', '1',
        '2099-12-31', %s, %s, %s, %s, %s, %s, %s)"""


def plant_disputed_penalty(city: DemoCity) -> None:
    """A valid penalty of a company, in time of publicity, that names another legal representative than the registration
    does: one public penalty and one conflict about an entity. Of the company that was altered the longest ago: what was
    decided before an alteration is no conflict.
    """
    dirty = {entry.rybh for entry in city.planted()}
    with city._server.connect("amr") as amr:
        companies = [row for row in amr.execute(COMPANIES).fetchall() if row[0] not in dirty]
    _, code, name, representative = companies[0]
    other = "王改名" if representative != "王改名" else "李改名"
    with city._server.connect("drc") as drc:
        authority = drc.execute(AUTHORITY).fetchone() or ()
        drc.execute(PENALTY, [code, name, other, *authority, city.today.isoformat(), city.today])
