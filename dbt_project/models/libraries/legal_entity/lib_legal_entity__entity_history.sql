-- 法人和其他主体的变化史，一个主体一项变化一行：改前、改后、何时起为真、何时得知。只追加。
-- The history of entities: one row for each cell that changed between two releases.
{{ config(incremental_strategy='append') }}
{{ history(ref('lib_legal_entity__entity'), 'uscc', [
    'subject_no', 'entity_name', 'public_name', 'entity_class', 'entity_type', 'entity_status', 'status_date', 'established_on',
    'approval_date', 'registered_capital', 'currency', 'industry_code', 'registration_authority', 'business_authority',
    'county_code', 'county_name', 'domicile', 'legal_representative', 'legal_representative_person_id',
    'business_scope', 'term_from', 'term_to', 'valid_to', 'sub_of', 'annual_check', 'institution_level', 'funding',
    'headcount', 'taxpayer_status', 'tax_credit_level', 'register_source', 'registration_number', 'paid_capital',
    'revocation_reason',
], 'source_updated_at', {'entity_status': 'n.status_date', 'status_date': 'n.status_date', 'revocation_reason': 'n.status_date'}) }}
