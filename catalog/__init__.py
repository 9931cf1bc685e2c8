"""What others see: policy, delivery and web. One decision function answers for every road; every read is audited.

Anything that builds, proves or releases data belongs to `pipelines`; nothing here knows Dagster.
"""
