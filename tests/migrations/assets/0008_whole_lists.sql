BEGIN TRANSACTION;
CREATE TABLE agent_states (
	agent_id VARCHAR(255) NOT NULL, 
	execution_id VARCHAR(255), 
	task_id VARCHAR(255), 
	status VARCHAR(32) NOT NULL, 
	turn_count BIGINT NOT NULL, 
	accumulated_cost_usd DOUBLE NOT NULL, 
	last_activity_at VARCHAR(32) NOT NULL, 
	started_at VARCHAR(32), 
	active_at VARCHAR(32) GENERATED ALWAYS AS (CASE WHEN status <> 'idle' THEN last_activity_at END) STORED, 
	PRIMARY KEY (agent_id), 
	CONSTRAINT ck_agent_states_idle_is_empty CHECK (status <> 'idle' OR (execution_id IS NULL AND task_id IS NULL AND started_at IS NULL AND turn_count = 0 AND accumulated_cost_usd = 0)), 
	CONSTRAINT ck_agent_states_active_has_execution CHECK (status = 'idle' OR (execution_id IS NOT NULL AND started_at IS NOT NULL)), 
	CONSTRAINT ck_agent_states_accumulated_cost_usd CHECK (accumulated_cost_usd >= 0), 
	CONSTRAINT ck_agent_states_turn_count CHECK (turn_count >= 0)
);
INSERT INTO "agent_states" VALUES('agent-1','execution-1','task-1','paused',3,0.5,'2024-03-01T17:30:15.123457+00:00','2024-03-01T12:30:15.123456+00:00');
INSERT INTO "agent_states" VALUES('it''s','execution-1','task-1','paused',3,0.5,'2024-03-01T17:30:15.123457+00:00','2024-03-01T12:30:15.123456+00:00');
INSERT INTO "agent_states" VALUES('Ünïcödé 🙂','execution-1','task-1','paused',3,0.5,'2024-03-01T17:30:15.123457+00:00','2024-03-01T12:30:15.123456+00:00');
INSERT INTO "agent_states" VALUES('100% :of {it}\','execution-1','task-1','paused',3,0.5,'2024-03-01T17:30:15.123457+00:00','2024-03-01T12:30:15.123456+00:00');
CREATE TABLE api_keys (
	id VARCHAR(255) NOT NULL, 
	key_hash VARCHAR(255) NOT NULL, 
	name TEXT NOT NULL, 
	role VARCHAR(32) NOT NULL, 
	user_id VARCHAR(255) NOT NULL, 
	created_at VARCHAR(32) NOT NULL, 
	expires_at VARCHAR(32), 
	revoked BOOLEAN NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT fk_api_keys_user_id FOREIGN KEY(user_id) REFERENCES users (id) ON DELETE CASCADE, 
	CONSTRAINT uq_api_keys_key_hash UNIQUE (key_hash), 
	CONSTRAINT ck_api_keys_revoked CHECK (revoked IN (0, 1))
);
INSERT INTO "api_keys" VALUES('key-1','a-key-hash-nobody-may-read','build server','pair_programmer','user-1','2024-03-01T12:30:15.123456+00:00','2024-03-01T17:30:15.123457+00:00',1);
INSERT INTO "api_keys" VALUES('it''s','it''s','build server','pair_programmer','user-1','2024-03-01T12:30:15.123456+00:00','2024-03-01T17:30:15.123457+00:00',1);
INSERT INTO "api_keys" VALUES('Ünïcödé 🙂','Ünïcödé 🙂','build server','pair_programmer','user-1','2024-03-01T12:30:15.123456+00:00','2024-03-01T17:30:15.123457+00:00',1);
INSERT INTO "api_keys" VALUES('100% :of {it}\','100% :of {it}\','build server','pair_programmer','user-1','2024-03-01T12:30:15.123456+00:00','2024-03-01T17:30:15.123457+00:00',1);
CREATE TABLE artifacts (
	id VARCHAR(255) NOT NULL, 
	type VARCHAR(32) NOT NULL, 
	path TEXT NOT NULL, 
	task_id VARCHAR(255) NOT NULL, 
	created_by VARCHAR(255) NOT NULL, 
	description TEXT NOT NULL, 
	project_id VARCHAR(255), 
	content_type TEXT NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	created_at VARCHAR(32), 
	PRIMARY KEY (id), 
	CONSTRAINT ck_artifacts_size_bytes CHECK (size_bytes >= 0)
);
INSERT INTO "artifacts" VALUES('artifact-1','tests','tests/test_login.py','task-1','agent-1','the tests','website','text/x-python',1234,'2024-03-01T12:30:15.123456+00:00');
INSERT INTO "artifacts" VALUES('it''s','tests','tests/test_login.py','task-1','agent-1','the tests','website','text/x-python',1234,'2024-03-01T12:30:15.123456+00:00');
INSERT INTO "artifacts" VALUES('Ünïcödé 🙂','tests','tests/test_login.py','task-1','agent-1','the tests','website','text/x-python',1234,'2024-03-01T12:30:15.123456+00:00');
INSERT INTO "artifacts" VALUES('100% :of {it}\','tests','tests/test_login.py','task-1','agent-1','the tests','website','text/x-python',1234,'2024-03-01T12:30:15.123456+00:00');
CREATE TABLE audit_entries (
	id VARCHAR(255) NOT NULL, 
	timestamp VARCHAR(32) NOT NULL, 
	agent_id VARCHAR(255), 
	task_id VARCHAR(255), 
	tool_name TEXT NOT NULL, 
	tool_category VARCHAR(32) NOT NULL, 
	action_type VARCHAR(255) NOT NULL, 
	arguments_hash VARCHAR(64) NOT NULL, 
	verdict VARCHAR(32) NOT NULL, 
	risk_level VARCHAR(32) NOT NULL, 
	reason TEXT NOT NULL, 
	matched_rules TEXT NOT NULL, 
	evaluation_duration_ms DOUBLE NOT NULL, 
	confidence VARCHAR(32) NOT NULL, 
	approval_id VARCHAR(255), 
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	CONSTRAINT ck_audit_entries_evaluation_duration_ms CHECK (evaluation_duration_ms >= 0)
);
INSERT INTO "audit_entries" VALUES('entry-1','2024-03-01T12:30:15.123456+00:00','agent-1','task-1','shell','terminal','code:write','0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef','deny','high','It deletes files.','["no-delete","no-shell"]',0.25,'low','approval-1',1);
INSERT INTO "audit_entries" VALUES('it''s','2024-03-01T12:30:15.123456+00:00','agent-1','task-1','shell','terminal','code:write','0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef','deny','high','It deletes files.','["no-delete","no-shell"]',0.25,'low','approval-1',2);
INSERT INTO "audit_entries" VALUES('Ünïcödé 🙂','2024-03-01T12:30:15.123456+00:00','agent-1','task-1','shell','terminal','code:write','0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef','deny','high','It deletes files.','["no-delete","no-shell"]',0.25,'low','approval-1',3);
INSERT INTO "audit_entries" VALUES('100% :of {it}\','2024-03-01T12:30:15.123456+00:00','agent-1','task-1','shell','terminal','code:write','0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef','deny','high','It deletes files.','["no-delete","no-shell"]',0.25,'low','approval-1',4);
CREATE TABLE audit_gates (
	removal_id VARCHAR(255) NOT NULL, 
	is_open BOOLEAN NOT NULL, 
	PRIMARY KEY (removal_id), 
	CONSTRAINT ck_audit_gates_is_open CHECK (is_open IN (0, 1))
);
INSERT INTO "audit_gates" VALUES('f7d66b85-c3a3-47f0-8a65-064d5d671784',0);
CREATE TABLE audit_removals (
	id VARCHAR(255) NOT NULL, 
	removed_at VARCHAR(32) NOT NULL, 
	removed_by TEXT NOT NULL, 
	first_timestamp VARCHAR(32) NOT NULL, 
	last_timestamp VARCHAR(32) NOT NULL, 
	last_id VARCHAR(255) NOT NULL, 
	entries BIGINT NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	archive VARCHAR(255) NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT ck_audit_removals_entries CHECK (entries >= 1)
);
INSERT INTO "audit_removals" VALUES('f7d66b85-c3a3-47f0-8a65-064d5d671784','2026-11-27T16:58:09.368967+00:00','nobody','2020-01-01T00:00:00.000000+00:00','2020-01-01T00:00:00.000000+00:00','removed',1,'bf24b29c35adc754448666ccf349fd4d1985e0378866f7122f9516a3c2a256e0','20261127T165809350432Z-79964b86.jsonl.gz');
CREATE TABLE checkpoints (
	id VARCHAR(255) NOT NULL, 
	execution_id VARCHAR(255) NOT NULL, 
	agent_id VARCHAR(255) NOT NULL, 
	task_id VARCHAR(255) NOT NULL, 
	turn_number BIGINT NOT NULL, 
	context_json TEXT NOT NULL, 
	created_at VARCHAR(32) NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT ck_checkpoints_turn_number CHECK (turn_number >= 0)
);
INSERT INTO "checkpoints" VALUES('checkpoint-1','execution-1','agent-1','task-1',7,'{"b": 1, "a" : 1.0}','2024-03-01T12:30:15.123456+00:00');
INSERT INTO "checkpoints" VALUES('it''s','it''s','agent-1','it''s',7,'{"b": 1, "a" : 1.0}','2024-03-01T12:30:15.123456+00:00');
INSERT INTO "checkpoints" VALUES('Ünïcödé 🙂','Ünïcödé 🙂','agent-1','Ünïcödé 🙂',7,'{"b": 1, "a" : 1.0}','2024-03-01T12:30:15.123456+00:00');
INSERT INTO "checkpoints" VALUES('100% :of {it}\','100% :of {it}\','agent-1','100% :of {it}\',7,'{"b": 1, "a" : 1.0}','2024-03-01T12:30:15.123456+00:00');
CREATE TABLE collaboration_metrics (
	id VARCHAR(255) NOT NULL, 
	agent_id VARCHAR(255) NOT NULL, 
	recorded_at VARCHAR(32) NOT NULL, 
	delegation_success BOOLEAN, 
	delegation_response_seconds DOUBLE, 
	conflict_constructiveness DOUBLE, 
	meeting_contribution DOUBLE, 
	loop_triggered BOOLEAN NOT NULL, 
	handoff_completeness DOUBLE, 
	interaction_summary TEXT, 
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	CONSTRAINT ck_collaboration_metrics_conflict_constructiveness CHECK (conflict_constructiveness >= 0 AND conflict_constructiveness <= 1), 
	CONSTRAINT ck_collaboration_metrics_delegation_response_seconds CHECK (delegation_response_seconds >= 0), 
	CONSTRAINT ck_collaboration_metrics_handoff_completeness CHECK (handoff_completeness >= 0 AND handoff_completeness <= 1), 
	CONSTRAINT ck_collaboration_metrics_meeting_contribution CHECK (meeting_contribution >= 0 AND meeting_contribution <= 1), 
	CONSTRAINT ck_collaboration_metrics_delegation_success CHECK (delegation_success IN (0, 1)), 
	CONSTRAINT ck_collaboration_metrics_loop_triggered CHECK (loop_triggered IN (0, 1))
);
INSERT INTO "collaboration_metrics" VALUES('metric-1','agent-1','2024-03-01T12:30:15.123456+00:00',1,1.5,0.25,1.0,1,0.125,'They agreed.',1);
INSERT INTO "collaboration_metrics" VALUES('it''s','agent-1','2024-03-01T12:30:15.123456+00:00',1,1.5,0.25,1.0,1,0.125,'They agreed.',2);
INSERT INTO "collaboration_metrics" VALUES('Ünïcödé 🙂','agent-1','2024-03-01T12:30:15.123456+00:00',1,1.5,0.25,1.0,1,0.125,'They agreed.',3);
INSERT INTO "collaboration_metrics" VALUES('100% :of {it}\','agent-1','2024-03-01T12:30:15.123456+00:00',1,1.5,0.25,1.0,1,0.125,'They agreed.',4);
CREATE TABLE cost_records (
	sequence_number INTEGER NOT NULL, 
	agent_id VARCHAR(255) NOT NULL, 
	task_id VARCHAR(255) NOT NULL, 
	provider VARCHAR(255) NOT NULL, 
	model VARCHAR(255) NOT NULL, 
	input_tokens BIGINT NOT NULL, 
	output_tokens BIGINT NOT NULL, 
	cost_usd DOUBLE NOT NULL, 
	timestamp VARCHAR(32) NOT NULL, 
	call_category VARCHAR(32), 
	PRIMARY KEY (sequence_number), 
	CONSTRAINT ck_cost_records_cost_needs_tokens CHECK (cost_usd = 0 OR input_tokens > 0 OR output_tokens > 0), 
	CONSTRAINT ck_cost_records_cost_usd CHECK (cost_usd >= 0), 
	CONSTRAINT ck_cost_records_input_tokens CHECK (input_tokens >= 0), 
	CONSTRAINT ck_cost_records_output_tokens CHECK (output_tokens >= 0)
);
INSERT INTO "cost_records" VALUES(1,'agent-1','task-1','provider-1','model-1',1000,200,0.0123,'2024-03-01T12:30:15.123456+00:00','coordination');
INSERT INTO "cost_records" VALUES(2,'agent-1','task-1','provider-1','it''s',1000,200,0.0123,'2024-03-01T12:30:15.123456+00:00','coordination');
INSERT INTO "cost_records" VALUES(3,'agent-1','task-1','provider-1','Ünïcödé 🙂',1000,200,0.0123,'2024-03-01T12:30:15.123456+00:00','coordination');
INSERT INTO "cost_records" VALUES(4,'agent-1','task-1','provider-1','100% :of {it}\',1000,200,0.0123,'2024-03-01T12:30:15.123456+00:00','coordination');
CREATE TABLE cost_rollup_state (
	id SMALLINT NOT NULL, 
	revision BIGINT NOT NULL, 
	rolled_up_before VARCHAR(32) NOT NULL, 
	last_sequence_number BIGINT NOT NULL, 
	pruned_before VARCHAR(32) NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT ck_cost_rollup_state_revision CHECK (revision >= 0), 
	CONSTRAINT ck_cost_rollup_state_last_sequence_number CHECK (last_sequence_number >= 0)
);
INSERT INTO "cost_rollup_state" VALUES(1,3652134978538860802,'2026-11-27T00:00:00.000000+00:00',4,'0001-01-02T00:00:00.000000+00:00');
CREATE TABLE cost_rollups (
	id VARCHAR(64) NOT NULL, 
	day VARCHAR(32) NOT NULL, 
	agent_id VARCHAR(255) NOT NULL, 
	task_id VARCHAR(255) NOT NULL, 
	project VARCHAR(255), 
	provider VARCHAR(255) NOT NULL, 
	model VARCHAR(255) NOT NULL, 
	call_category VARCHAR(32), 
	cost_usd DOUBLE NOT NULL, 
	input_tokens BIGINT NOT NULL, 
	input_tokens_upper BIGINT NOT NULL, 
	output_tokens BIGINT NOT NULL, 
	output_tokens_upper BIGINT NOT NULL, 
	records BIGINT NOT NULL, task_project VARCHAR(255), 
	PRIMARY KEY (id), 
	CONSTRAINT ck_cost_rollups_cost_usd CHECK (cost_usd >= 0), 
	CONSTRAINT ck_cost_rollups_input_tokens CHECK (input_tokens >= 0), 
	CONSTRAINT ck_cost_rollups_input_tokens_upper CHECK (input_tokens_upper >= 0), 
	CONSTRAINT ck_cost_rollups_output_tokens CHECK (output_tokens >= 0), 
	CONSTRAINT ck_cost_rollups_output_tokens_upper CHECK (output_tokens_upper >= 0), 
	CONSTRAINT ck_cost_rollups_records CHECK (records >= 0)
);
INSERT INTO "cost_rollups" VALUES('d40ad891285b8d5baff5aca9bc58dae4d10518a32a947cf624894bda6331bd32','2024-03-01T00:00:00.000000+00:00','agent-1','task-1','website','provider-1','100% :of {it}\','coordination',0.0123,1000,0,200,0,1,'website');
INSERT INTO "cost_rollups" VALUES('3cc1c3120556eb6ec1ec857053c30c77d9b88af12fc094af8af6477652193c06','2024-03-01T00:00:00.000000+00:00','agent-1','task-1','website','provider-1','it''s','coordination',0.0123,1000,0,200,0,1,'website');
INSERT INTO "cost_rollups" VALUES('fa0bc779ea5e8d7e4a51424f043c395fc0c32caf840bb63e8bac08caaaebcc4c','2024-03-01T00:00:00.000000+00:00','agent-1','task-1','website','provider-1','model-1','coordination',0.0123,1000,0,200,0,1,'website');
INSERT INTO "cost_rollups" VALUES('1a609f15b2d7f91137eac359fab4bdbd33e7b62791bc638239e75ca067b107f9','2024-03-01T00:00:00.000000+00:00','agent-1','task-1','website','provider-1','Ünïcödé 🙂','coordination',0.0123,1000,0,200,0,1,'website');
CREATE TABLE custom_presets (
	name VARCHAR(255) NOT NULL, 
	config_json TEXT NOT NULL, 
	description TEXT NOT NULL, 
	created_at TEXT NOT NULL, 
	updated_at TEXT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "custom_presets" VALUES('kind','{"warmth": 1.0 }','a friend','2024-03-01','2024-03-02');
INSERT INTO "custom_presets" VALUES('it''s','{"warmth": 1.0 }','a friend','2024-03-01','2024-03-02');
INSERT INTO "custom_presets" VALUES('Ünïcödé 🙂','{"warmth": 1.0 }','a friend','2024-03-01','2024-03-02');
INSERT INTO "custom_presets" VALUES('100% :of {it}\','{"warmth": 1.0 }','a friend','2024-03-01','2024-03-02');
CREATE TABLE heartbeats (
	execution_id VARCHAR(255) NOT NULL, 
	agent_id VARCHAR(255) NOT NULL, 
	task_id VARCHAR(255) NOT NULL, 
	last_heartbeat_at VARCHAR(32) NOT NULL, 
	PRIMARY KEY (execution_id)
);
INSERT INTO "heartbeats" VALUES('execution-1','agent-1','task-1','2024-03-01T12:30:15.123456+00:00');
INSERT INTO "heartbeats" VALUES('it''s','agent-1','task-1','2024-03-01T12:30:15.123456+00:00');
INSERT INTO "heartbeats" VALUES('Ünïcödé 🙂','agent-1','task-1','2024-03-01T12:30:15.123456+00:00');
INSERT INTO "heartbeats" VALUES('100% :of {it}\','agent-1','task-1','2024-03-01T12:30:15.123456+00:00');
CREATE TABLE lifecycle_events (
	id VARCHAR(255) NOT NULL, 
	agent_id VARCHAR(255) NOT NULL, 
	agent_name TEXT NOT NULL, 
	event_type VARCHAR(32) NOT NULL, 
	timestamp VARCHAR(32) NOT NULL, 
	initiated_by VARCHAR(255) NOT NULL, 
	details TEXT NOT NULL, 
	metadata TEXT NOT NULL, 
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT
);
INSERT INTO "lifecycle_events" VALUES('event-1','agent-1','Ada','promoted','2024-03-01T12:30:15.123456+00:00','agent-0','to lead','{"to":"lead","from":"engineer"}',1);
INSERT INTO "lifecycle_events" VALUES('it''s','agent-1','Ada','promoted','2024-03-01T12:30:15.123456+00:00','agent-0','to lead','{"to":"lead","from":"engineer"}',2);
INSERT INTO "lifecycle_events" VALUES('Ünïcödé 🙂','agent-1','Ada','promoted','2024-03-01T12:30:15.123456+00:00','agent-0','to lead','{"to":"lead","from":"engineer"}',3);
INSERT INTO "lifecycle_events" VALUES('100% :of {it}\','agent-1','Ada','promoted','2024-03-01T12:30:15.123456+00:00','agent-0','to lead','{"to":"lead","from":"engineer"}',4);
CREATE TABLE messages (
	id VARCHAR(36) NOT NULL, 
	timestamp VARCHAR(32) NOT NULL, 
	sender VARCHAR(255) NOT NULL, 
	"to" VARCHAR(255) NOT NULL, 
	type VARCHAR(32) NOT NULL, 
	priority VARCHAR(32) NOT NULL, 
	channel VARCHAR(255) NOT NULL, 
	content TEXT NOT NULL, 
	attachments TEXT NOT NULL, 
	metadata TEXT NOT NULL, 
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT
);
INSERT INTO "messages" VALUES('0d3f8a3e-3c52-4a53-8f57-5f1d1a1f2b3c','2024-03-01T12:30:15.123456+00:00','agent-1','agent-2','question','high','general','Is it done?','[{"type":"file","ref":"notes.txt"}]','{"task_id":"task-1","project_id":"website","tokens_used":7,"cost_usd":0.5,"extra":[["z",""],["a","b"]]}',1);
INSERT INTO "messages" VALUES('5f0ab2d3-627c-5710-8285-4b92aa36c39e','2024-03-01T12:30:15.123456+00:00','agent-1','agent-2','question','high','general','Is it done?','[{"type":"file","ref":"notes.txt"}]','{"task_id":"task-1","project_id":"website","tokens_used":7,"cost_usd":0.5,"extra":[["z",""],["a","b"]]}',2);
INSERT INTO "messages" VALUES('5eecfc06-8fec-57b4-a713-1640c03ac850','2024-03-01T12:30:15.123456+00:00','agent-1','agent-2','question','high','general','Is it done?','[{"type":"file","ref":"notes.txt"}]','{"task_id":"task-1","project_id":"website","tokens_used":7,"cost_usd":0.5,"extra":[["z",""],["a","b"]]}',3);
INSERT INTO "messages" VALUES('ee012517-89f8-54d5-b06c-81bd321380aa','2024-03-01T12:30:15.123456+00:00','agent-1','agent-2','question','high','general','Is it done?','[{"type":"file","ref":"notes.txt"}]','{"task_id":"task-1","project_id":"website","tokens_used":7,"cost_usd":0.5,"extra":[["z",""],["a","b"]]}',4);
CREATE TABLE parked_contexts (
	id VARCHAR(255) NOT NULL, 
	execution_id VARCHAR(255) NOT NULL, 
	agent_id VARCHAR(255) NOT NULL, 
	task_id VARCHAR(255), 
	approval_id VARCHAR(255) NOT NULL, 
	parked_at VARCHAR(32) NOT NULL, 
	context_json TEXT NOT NULL, 
	metadata TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "parked_contexts" VALUES('parked-1','execution-1','agent-1','task-1','approval-1','2024-03-01T12:30:15.123456+00:00',' {"b": 1,
"a":1e0 } ','{"reason":"payment"}');
INSERT INTO "parked_contexts" VALUES('it''s','execution-1','agent-1','task-1','it''s','2024-03-01T12:30:15.123456+00:00',' {"b": 1,
"a":1e0 } ','{"reason":"payment"}');
INSERT INTO "parked_contexts" VALUES('Ünïcödé 🙂','execution-1','agent-1','task-1','Ünïcödé 🙂','2024-03-01T12:30:15.123456+00:00',' {"b": 1,
"a":1e0 } ','{"reason":"payment"}');
INSERT INTO "parked_contexts" VALUES('100% :of {it}\','execution-1','agent-1','task-1','100% :of {it}\','2024-03-01T12:30:15.123456+00:00',' {"b": 1,
"a":1e0 } ','{"reason":"payment"}');
CREATE TABLE projects (
	id VARCHAR(255) NOT NULL, 
	name TEXT NOT NULL, 
	description TEXT NOT NULL, 
	team TEXT NOT NULL, 
	lead VARCHAR(255), 
	task_ids TEXT NOT NULL, 
	deadline TEXT, 
	budget DOUBLE NOT NULL, 
	status VARCHAR(32) NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT ck_projects_budget CHECK (budget >= 0)
);
INSERT INTO "projects" VALUES('project-1','Website','The new website.','["agent-2","agent-1"]','agent-1','["task-9","task-1"]','2024-12-31T23:59:59Z',1000.5,'on_hold');
INSERT INTO "projects" VALUES('it''s','Website','The new website.','["agent-2","agent-1"]','agent-1','["task-9","task-1"]','2024-12-31T23:59:59Z',1000.5,'on_hold');
INSERT INTO "projects" VALUES('Ünïcödé 🙂','Website','The new website.','["agent-2","agent-1"]','agent-1','["task-9","task-1"]','2024-12-31T23:59:59Z',1000.5,'on_hold');
INSERT INTO "projects" VALUES('100% :of {it}\','Website','The new website.','["agent-2","agent-1"]','agent-1','["task-9","task-1"]','2024-12-31T23:59:59Z',1000.5,'on_hold');
CREATE TABLE settings (
	namespace VARCHAR(255) NOT NULL, 
	"key" VARCHAR(255) NOT NULL, 
	value TEXT NOT NULL, 
	updated_at VARCHAR(255) NOT NULL, 
	PRIMARY KEY (namespace, "key")
);
INSERT INTO "settings" VALUES('budget','limit',' 100 ','2024-03-01T12:30:15Z');
INSERT INTO "settings" VALUES('budget','it''s',' 100 ','2024-03-01T12:30:15Z');
INSERT INTO "settings" VALUES('budget','Ünïcödé 🙂',' 100 ','2024-03-01T12:30:15Z');
INSERT INTO "settings" VALUES('budget','100% :of {it}\',' 100 ','2024-03-01T12:30:15Z');
CREATE TABLE synthorg_persistence_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT synthorg_persistence_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "synthorg_persistence_version" VALUES('0008_whole_lists');
CREATE TABLE task_metrics (
	id VARCHAR(255) NOT NULL, 
	agent_id VARCHAR(255) NOT NULL, 
	task_id VARCHAR(255) NOT NULL, 
	task_type VARCHAR(32) NOT NULL, 
	started_at VARCHAR(32), 
	completed_at VARCHAR(32) NOT NULL, 
	is_success BOOLEAN NOT NULL, 
	duration_seconds DOUBLE NOT NULL, 
	cost_usd DOUBLE NOT NULL, 
	turns_used BIGINT NOT NULL, 
	tokens_used BIGINT NOT NULL, 
	quality_score DOUBLE, 
	complexity VARCHAR(32) NOT NULL, 
	number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	CONSTRAINT ck_task_metrics_cost_usd CHECK (cost_usd >= 0), 
	CONSTRAINT ck_task_metrics_duration_seconds CHECK (duration_seconds >= 0), 
	CONSTRAINT ck_task_metrics_quality_score CHECK (quality_score >= 0 AND quality_score <= 10), 
	CONSTRAINT ck_task_metrics_started_before_completed CHECK (started_at < completed_at), 
	CONSTRAINT ck_task_metrics_tokens_used CHECK (tokens_used >= 0), 
	CONSTRAINT ck_task_metrics_turns_used CHECK (turns_used >= 0), 
	CONSTRAINT ck_task_metrics_is_success CHECK (is_success IN (0, 1))
);
INSERT INTO "task_metrics" VALUES('metric-1','agent-1','task-1','design','2024-03-01T11:30:15.123456+00:00','2024-03-01T12:30:15.123456+00:00',1,3600.5,0.75,9,12345,9.5,'epic',1);
INSERT INTO "task_metrics" VALUES('it''s','agent-1','task-1','design','2024-03-01T11:30:15.123456+00:00','2024-03-01T12:30:15.123456+00:00',1,3600.5,0.75,9,12345,9.5,'epic',2);
INSERT INTO "task_metrics" VALUES('Ünïcödé 🙂','agent-1','task-1','design','2024-03-01T11:30:15.123456+00:00','2024-03-01T12:30:15.123456+00:00',1,3600.5,0.75,9,12345,9.5,'epic',3);
INSERT INTO "task_metrics" VALUES('100% :of {it}\','agent-1','task-1','design','2024-03-01T11:30:15.123456+00:00','2024-03-01T12:30:15.123456+00:00',1,3600.5,0.75,9,12345,9.5,'epic',4);
CREATE TABLE tasks (
	id VARCHAR(255) NOT NULL, 
	title TEXT NOT NULL, 
	description TEXT NOT NULL, 
	type VARCHAR(32) NOT NULL, 
	priority VARCHAR(32) NOT NULL, 
	project VARCHAR(255) NOT NULL, 
	created_by VARCHAR(255) NOT NULL, 
	assigned_to VARCHAR(255), 
	reviewers TEXT NOT NULL, 
	dependencies TEXT NOT NULL, 
	artifacts_expected TEXT NOT NULL, 
	acceptance_criteria TEXT NOT NULL, 
	estimated_complexity VARCHAR(32) NOT NULL, 
	budget_limit DOUBLE NOT NULL, 
	deadline TEXT, 
	max_retries BIGINT NOT NULL, 
	status VARCHAR(32) NOT NULL, 
	parent_task_id VARCHAR(255), 
	delegation_chain TEXT NOT NULL, 
	task_structure VARCHAR(32), 
	coordination_topology VARCHAR(32) NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT ck_tasks_created_is_unassigned CHECK (status <> 'created' OR assigned_to IS NULL), 
	CONSTRAINT ck_tasks_work_is_assigned CHECK (status NOT IN ('assigned', 'in_progress', 'in_review', 'completed') OR assigned_to IS NOT NULL), 
	CONSTRAINT ck_tasks_budget_limit CHECK (budget_limit >= 0), 
	CONSTRAINT ck_tasks_max_retries CHECK (max_retries >= 0), 
	CONSTRAINT ck_tasks_not_its_own_parent CHECK (parent_task_id <> id)
);
INSERT INTO "tasks" VALUES('task-1','Fix the login','Users cannot log in.','development','high','website','agent-1','agent-2','["agent-3","agent-1"]','["task-0"]','[{"type":"code","path":"login.py"}]','[{"description":"Users can log in.","met":true}]','complex',12.5,'2024-04-01',3,'blocked','task-9','["agent-5","agent-4"]','mixed','sas');
INSERT INTO "tasks" VALUES('it''s','Fix the login','Users cannot log in.','development','high','website','agent-1','agent-2','["agent-3","agent-1"]','["task-0"]','[{"type":"code","path":"login.py"}]','[{"description":"Users can log in.","met":true}]','complex',12.5,'2024-04-01',3,'blocked','task-9','["agent-5","agent-4"]','mixed','sas');
INSERT INTO "tasks" VALUES('Ünïcödé 🙂','Fix the login','Users cannot log in.','development','high','website','agent-1','agent-2','["agent-3","agent-1"]','["task-0"]','[{"type":"code","path":"login.py"}]','[{"description":"Users can log in.","met":true}]','complex',12.5,'2024-04-01',3,'blocked','task-9','["agent-5","agent-4"]','mixed','sas');
INSERT INTO "tasks" VALUES('100% :of {it}\','Fix the login','Users cannot log in.','development','high','website','agent-1','agent-2','["agent-3","agent-1"]','["task-0"]','[{"type":"code","path":"login.py"}]','[{"description":"Users can log in.","met":true}]','complex',12.5,'2024-04-01',3,'blocked','task-9','["agent-5","agent-4"]','mixed','sas');
CREATE TABLE users (
	id VARCHAR(255) NOT NULL, 
	username VARCHAR(255) NOT NULL, 
	password_hash TEXT NOT NULL, 
	role VARCHAR(32) NOT NULL, 
	must_change_password BOOLEAN NOT NULL, 
	created_at VARCHAR(32) NOT NULL, 
	updated_at VARCHAR(32) NOT NULL, 
	ceo_guard SMALLINT GENERATED ALWAYS AS (CASE WHEN role = 'ceo' THEN 1 END) STORED, 
	PRIMARY KEY (id), 
	CONSTRAINT uq_users_ceo_guard UNIQUE (ceo_guard), 
	CONSTRAINT uq_users_username UNIQUE (username), 
	CONSTRAINT ck_users_must_change_password CHECK (must_change_password IN (0, 1))
);
INSERT INTO "users" VALUES('user-1','ada','$argon2id$a-hash-nobody-may-read','manager',0,'2024-03-01T12:30:15.123456+00:00','2024-03-01T12:30:15.123456+00:00');
INSERT INTO "users" VALUES('it''s','it''s','$argon2id$a-hash-nobody-may-read','manager',0,'2024-03-01T12:30:15.123456+00:00','2024-03-01T12:30:15.123456+00:00');
INSERT INTO "users" VALUES('Ünïcödé 🙂','Ünïcödé 🙂','$argon2id$a-hash-nobody-may-read','manager',0,'2024-03-01T12:30:15.123456+00:00','2024-03-01T12:30:15.123456+00:00');
INSERT INTO "users" VALUES('100% :of {it}\','100% :of {it}\','$argon2id$a-hash-nobody-may-read','manager',0,'2024-03-01T12:30:15.123456+00:00','2024-03-01T12:30:15.123456+00:00');
CREATE TABLE workflow_definitions (
	id VARCHAR(255) NOT NULL, 
	name TEXT NOT NULL, 
	description TEXT NOT NULL, 
	workflow_type VARCHAR(32) NOT NULL, 
	nodes TEXT NOT NULL, 
	edges TEXT NOT NULL, 
	created_by VARCHAR(255) NOT NULL, 
	created_at VARCHAR(32) NOT NULL, 
	updated_at VARCHAR(32) NOT NULL, 
	version BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT ck_workflow_definitions_version CHECK (version >= 1)
);
INSERT INTO "workflow_definitions" VALUES('definition-1','Release','How to release.','kanban','[{"id":"s","label":"Start","type":"start","position_x":0.0,"position_y":0.0,"config":{}},{"id":"t","label":"Build","type":"task","position_x":-1.5,"position_y":1e-300,"config":{"steps":[{"run":"make"},null,true,1,1.0],"depth":{}}},{"id":"e","label":"End","type":"end","position_x":0.0,"position_y":0.0,"config":{}}]','[{"id":"1","source_node_id":"s","target_node_id":"t","type":"sequential","label":null},{"id":"2","source_node_id":"t","target_node_id":"e","type":"conditional_true","label":"built"}]','user-1','2024-03-01T12:30:15.123456+00:00','2024-03-01T12:30:15.123456+00:00',1);
INSERT INTO "workflow_definitions" VALUES('it''s','Release','How to release.','kanban','[{"id":"s","label":"Start","type":"start","position_x":0.0,"position_y":0.0,"config":{}},{"id":"t","label":"Build","type":"task","position_x":-1.5,"position_y":1e-300,"config":{"steps":[{"run":"make"},null,true,1,1.0],"depth":{}}},{"id":"e","label":"End","type":"end","position_x":0.0,"position_y":0.0,"config":{}}]','[{"id":"1","source_node_id":"s","target_node_id":"t","type":"sequential","label":null},{"id":"2","source_node_id":"t","target_node_id":"e","type":"conditional_true","label":"built"}]','user-1','2024-03-01T12:30:15.123456+00:00','2024-03-01T12:30:15.123456+00:00',1);
INSERT INTO "workflow_definitions" VALUES('Ünïcödé 🙂','Release','How to release.','kanban','[{"id":"s","label":"Start","type":"start","position_x":0.0,"position_y":0.0,"config":{}},{"id":"t","label":"Build","type":"task","position_x":-1.5,"position_y":1e-300,"config":{"steps":[{"run":"make"},null,true,1,1.0],"depth":{}}},{"id":"e","label":"End","type":"end","position_x":0.0,"position_y":0.0,"config":{}}]','[{"id":"1","source_node_id":"s","target_node_id":"t","type":"sequential","label":null},{"id":"2","source_node_id":"t","target_node_id":"e","type":"conditional_true","label":"built"}]','user-1','2024-03-01T12:30:15.123456+00:00','2024-03-01T12:30:15.123456+00:00',1);
INSERT INTO "workflow_definitions" VALUES('100% :of {it}\','Release','How to release.','kanban','[{"id":"s","label":"Start","type":"start","position_x":0.0,"position_y":0.0,"config":{}},{"id":"t","label":"Build","type":"task","position_x":-1.5,"position_y":1e-300,"config":{"steps":[{"run":"make"},null,true,1,1.0],"depth":{}}},{"id":"e","label":"End","type":"end","position_x":0.0,"position_y":0.0,"config":{}}]','[{"id":"1","source_node_id":"s","target_node_id":"t","type":"sequential","label":null},{"id":"2","source_node_id":"t","target_node_id":"e","type":"conditional_true","label":"built"}]','user-1','2024-03-01T12:30:15.123456+00:00','2024-03-01T12:30:15.123456+00:00',1);
CREATE TABLE workflow_executions (
	id VARCHAR(255) NOT NULL, 
	definition_id VARCHAR(255) NOT NULL, 
	definition_version BIGINT NOT NULL, 
	status VARCHAR(32) NOT NULL, 
	node_executions TEXT NOT NULL, 
	activated_by VARCHAR(255) NOT NULL, 
	project VARCHAR(255) NOT NULL, 
	created_at VARCHAR(32) NOT NULL, 
	updated_at VARCHAR(32) NOT NULL, 
	completed_at VARCHAR(32), 
	error TEXT, 
	version BIGINT NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT ck_workflow_executions_error_when_failed CHECK ((status = 'failed') = (error IS NOT NULL)), 
	CONSTRAINT ck_workflow_executions_completed_at_when_ended CHECK ((status IN ('completed', 'failed', 'cancelled')) = (completed_at IS NOT NULL)), 
	CONSTRAINT ck_workflow_executions_definition_version CHECK (definition_version >= 1), 
	CONSTRAINT ck_workflow_executions_version CHECK (version >= 1), 
	CONSTRAINT fk_workflow_executions_definition_id FOREIGN KEY(definition_id) REFERENCES workflow_definitions (id) ON DELETE RESTRICT
);
INSERT INTO "workflow_executions" VALUES('execution-1','definition-1',3,'failed','[{"node_id":"t","node_type":"task","status":"task_created","task_id":"task-1","skipped_reason":null},{"node_id":"c","node_type":"conditional","status":"skipped","task_id":null,"skipped_reason":"not needed"}]','user-1','website','2024-03-01T12:30:15.123456+00:00','2024-03-01T12:30:15.123456+00:00','2024-03-01T17:30:15.123457+00:00','It did not build.',1);
INSERT INTO "workflow_executions" VALUES('it''s','definition-1',3,'failed','[{"node_id":"t","node_type":"task","status":"task_created","task_id":"task-1","skipped_reason":null},{"node_id":"c","node_type":"conditional","status":"skipped","task_id":null,"skipped_reason":"not needed"}]','user-1','website','2024-03-01T12:30:15.123456+00:00','2024-03-01T12:30:15.123456+00:00','2024-03-01T17:30:15.123457+00:00','It did not build.',1);
INSERT INTO "workflow_executions" VALUES('Ünïcödé 🙂','definition-1',3,'failed','[{"node_id":"t","node_type":"task","status":"task_created","task_id":"task-1","skipped_reason":null},{"node_id":"c","node_type":"conditional","status":"skipped","task_id":null,"skipped_reason":"not needed"}]','user-1','website','2024-03-01T12:30:15.123456+00:00','2024-03-01T12:30:15.123456+00:00','2024-03-01T17:30:15.123457+00:00','It did not build.',1);
INSERT INTO "workflow_executions" VALUES('100% :of {it}\','definition-1',3,'failed','[{"node_id":"t","node_type":"task","status":"task_created","task_id":"task-1","skipped_reason":null},{"node_id":"c","node_type":"conditional","status":"skipped","task_id":null,"skipped_reason":"not needed"}]','user-1','website','2024-03-01T12:30:15.123456+00:00','2024-03-01T12:30:15.123456+00:00','2024-03-01T17:30:15.123457+00:00','It did not build.',1);
CREATE INDEX ix_agent_states_active_at_agent_id ON agent_states (active_at, agent_id);
CREATE INDEX ix_artifacts_created_by_id ON artifacts (created_by, id);
CREATE INDEX ix_artifacts_task_id_id ON artifacts (task_id, id);
CREATE INDEX ix_artifacts_type_id ON artifacts (type, id);
CREATE INDEX ix_checkpoints_execution_id_turn_number_created_at_id ON checkpoints (execution_id, turn_number, created_at, id);
CREATE INDEX ix_checkpoints_task_id_turn_number_created_at_id ON checkpoints (task_id, turn_number, created_at, id);
CREATE INDEX ix_cost_records_agent_id_sequence_number_cost_usd ON cost_records (agent_id, sequence_number, cost_usd);
CREATE INDEX ix_cost_records_task_id_sequence_number_cost_usd ON cost_records (task_id, sequence_number, cost_usd);
CREATE INDEX ix_cost_records_timestamp ON cost_records (timestamp);
CREATE INDEX ix_heartbeats_last_heartbeat_at_execution_id ON heartbeats (last_heartbeat_at, execution_id);
CREATE INDEX ix_parked_contexts_agent_id_parked_at_id ON parked_contexts (agent_id, parked_at, id);
CREATE INDEX ix_parked_contexts_approval_id_parked_at_id ON parked_contexts (approval_id, parked_at, id);
CREATE INDEX ix_projects_lead_id ON projects (lead, id);
CREATE INDEX ix_projects_status_id ON projects (status, id);
CREATE INDEX ix_tasks_assigned_to_id ON tasks (assigned_to, id);
CREATE INDEX ix_tasks_project_id ON tasks (project, id);
CREATE INDEX ix_tasks_status_id ON tasks (status, id);
CREATE INDEX ix_users_created_at_id ON users (created_at, id);
CREATE INDEX ix_users_role ON users (role);
CREATE INDEX ix_workflow_definitions_updated_at_id ON workflow_definitions (updated_at, id);
CREATE INDEX ix_workflow_definitions_workflow_type_updated_at_id ON workflow_definitions (workflow_type, updated_at, id);
CREATE INDEX ix_api_keys_user_id_created_at_id ON api_keys (user_id, created_at, id);
CREATE INDEX ix_workflow_executions_definition_id_updated_at_id ON workflow_executions (definition_id, updated_at, id);
CREATE INDEX ix_workflow_executions_status_updated_at_id ON workflow_executions (status, updated_at, id);
CREATE INDEX ix_workflow_executions_updated_at_id ON workflow_executions (updated_at, id);
CREATE INDEX ix_cost_rollups_day ON cost_rollups (day);
CREATE INDEX ix_cost_rollups_agent_id_day ON cost_rollups (agent_id, day);
CREATE INDEX ix_cost_rollups_task_id_day ON cost_rollups (task_id, day);
CREATE INDEX ix_audit_removals_removed_at_id ON audit_removals (removed_at, id);
CREATE INDEX ix_audit_gates_is_open ON audit_gates (is_open);
CREATE TRIGGER audit_removals_refuse_update BEFORE UPDATE ON audit_removals BEGIN SELECT RAISE(ABORT, 'audit_removals is append-only'); END;
CREATE TRIGGER audit_removals_refuse_delete BEFORE DELETE ON audit_removals BEGIN SELECT RAISE(ABORT, 'audit_removals is append-only'); END;
CREATE TRIGGER audit_removals_refuse_replace BEFORE INSERT ON audit_removals WHEN EXISTS (SELECT 1 FROM audit_removals WHERE id = NEW.id OR (rowid = NEW.rowid AND NEW.rowid <> -1)) BEGIN SELECT RAISE(ABORT, 'audit_removals is append-only'); END;
CREATE TRIGGER audit_gates_refuse_forging BEFORE INSERT ON audit_gates WHEN NOT EXISTS (SELECT 1 FROM audit_removals WHERE id = NEW.removal_id) OR EXISTS (SELECT 1 FROM audit_gates WHERE removal_id = NEW.removal_id) BEGIN SELECT RAISE(ABORT, 'audit_gates is opened by audit_removals alone'); END;
CREATE TRIGGER audit_gates_refuse_update BEFORE UPDATE ON audit_gates WHEN NOT (OLD.is_open AND NOT NEW.is_open AND NEW.removal_id = OLD.removal_id) BEGIN SELECT RAISE(ABORT, 'audit_gates is opened by audit_removals alone'); END;
CREATE TRIGGER audit_gates_refuse_delete BEFORE DELETE ON audit_gates BEGIN SELECT RAISE(ABORT, 'audit_gates is opened by audit_removals alone'); END;
CREATE TRIGGER audit_removals_carry_out AFTER INSERT ON audit_removals BEGIN INSERT INTO audit_gates (removal_id, is_open) VALUES (NEW.id, 1); DELETE FROM audit_entries WHERE timestamp >= NEW.first_timestamp AND timestamp <= NEW.last_timestamp AND (timestamp < NEW.last_timestamp OR id <= NEW.last_id); SELECT RAISE(ABORT, 'audit_removals has to name as many entries as there are in its range') WHERE changes() NOT IN (0, NEW.entries); UPDATE audit_gates SET is_open = 0 WHERE removal_id = NEW.id; END;
CREATE INDEX ix_cost_rollups_task_project_day ON cost_rollups (task_project, day);
CREATE TRIGGER tasks_move_rollups AFTER UPDATE OF project ON tasks WHEN OLD.project <> NEW.project BEGIN UPDATE cost_rollups SET task_project = NEW.project WHERE task_id = OLD.id; END;
CREATE TRIGGER tasks_leave_rollups AFTER DELETE ON tasks BEGIN UPDATE cost_rollups SET project = OLD.project, task_project = NULL WHERE task_id = OLD.id; END;
CREATE UNIQUE INDEX ix_messages_id ON messages (id);
CREATE INDEX ix_messages_channel_timestamp_number ON messages (channel, timestamp, number);
CREATE INDEX ix_messages_channel_number ON messages (channel, number);
CREATE UNIQUE INDEX ix_lifecycle_events_id ON lifecycle_events (id);
CREATE INDEX ix_lifecycle_events_timestamp_number ON lifecycle_events (timestamp, number);
CREATE INDEX ix_lifecycle_events_agent_id_timestamp_number ON lifecycle_events (agent_id, timestamp, number);
CREATE INDEX ix_lifecycle_events_event_type_timestamp_number ON lifecycle_events (event_type, timestamp, number);
CREATE UNIQUE INDEX ix_task_metrics_id ON task_metrics (id);
CREATE INDEX ix_task_metrics_completed_at_number ON task_metrics (completed_at, number);
CREATE INDEX ix_task_metrics_agent_id_completed_at_number ON task_metrics (agent_id, completed_at, number);
CREATE UNIQUE INDEX ix_collaboration_metrics_id ON collaboration_metrics (id);
CREATE INDEX ix_collaboration_metrics_recorded_at_number ON collaboration_metrics (recorded_at, number);
CREATE INDEX ix_collaboration_metrics_agent_id_recorded_at_number ON collaboration_metrics (agent_id, recorded_at, number);
CREATE TRIGGER audit_entries_refuse_update BEFORE UPDATE ON audit_entries BEGIN SELECT RAISE(ABORT, 'audit_entries is append-only'); END;
CREATE TRIGGER audit_entries_refuse_replace BEFORE INSERT ON audit_entries WHEN EXISTS (SELECT 1 FROM audit_entries WHERE id = NEW.id OR (rowid = NEW.rowid AND NEW.rowid <> -1)) BEGIN SELECT RAISE(ABORT, 'audit_entries is append-only'); END;
CREATE TRIGGER audit_entries_refuse_unrecorded BEFORE DELETE ON audit_entries WHEN NOT EXISTS (SELECT 1 FROM audit_gates WHERE is_open = 1) BEGIN SELECT RAISE(ABORT, 'audit_entries is append-only'); END;
CREATE UNIQUE INDEX ix_audit_entries_id ON audit_entries (id);
CREATE INDEX ix_audit_entries_timestamp_number ON audit_entries (timestamp, number);
CREATE INDEX ix_audit_entries_agent_id_timestamp_number ON audit_entries (agent_id, timestamp, number);
CREATE INDEX ix_audit_entries_action_type_timestamp_number ON audit_entries (action_type, timestamp, number);
CREATE INDEX ix_audit_entries_verdict_timestamp_number ON audit_entries (verdict, timestamp, number);
CREATE INDEX ix_audit_entries_risk_level_timestamp_number ON audit_entries (risk_level, timestamp, number);
CREATE INDEX ix_audit_entries_timestamp_id ON audit_entries (timestamp, id);
CREATE INDEX ix_parked_contexts_parked_at_id ON parked_contexts (parked_at, id);
CREATE INDEX ix_api_keys_created_at_id ON api_keys (created_at, id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('messages',4);
INSERT INTO "sqlite_sequence" VALUES('lifecycle_events',4);
INSERT INTO "sqlite_sequence" VALUES('task_metrics',4);
INSERT INTO "sqlite_sequence" VALUES('collaboration_metrics',4);
INSERT INTO "sqlite_sequence" VALUES('audit_entries',5);
COMMIT;
