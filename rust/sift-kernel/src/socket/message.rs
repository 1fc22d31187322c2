//! What is said over the socket: a greeting, then calls and replies in turn, each in one frame.
//!
//! A frame is the length of the rest (4 bytes, little-endian), a byte that says what it is, and its fields. One
//! connection carries one call at a time, so a reply needs no name.

use std::collections::BTreeMap;
use std::sync::Arc;

use sift_policy::json::Value;
use sift_policy::ShadowCounters;

use super::access::Right;
use super::bytes::{Malformed, Read, Reader, Writer};
use crate::approval::{ApprovalRecord, ApprovalState, Sealed, Signed, Verdict};
use crate::budget::{Charge, LeaseState, Outcome};
use crate::error::KernelError;
use crate::gate::Totals;
use crate::kernel::{Authorization, Decision, Durable, Status};
use crate::ledger::Placed;
use crate::request::{ActionRequest, Credential, Proof, Stamp};
use crate::revocation::{Subject, SubjectKind};
use crate::store::{AccountKey, Trace, Undo};

/// Bytes of a frame before its fields.
pub(super) const HEAD: usize = 5;

/// First bytes of every connection: the name of the protocol and its version. Another version is refused.
const MAGIC: [u8; 8] = *b"siftkrn\x04";

/// What a client says first.
pub struct Hello {
    /// Random: connections with the same one share the receipts that they wait for.
    pub client: [u8; 16],
}

/// What the kernel answers to that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// Whom requests must be addressed to.
    pub audience: String,
    /// Most bytes of a frame.
    pub frame_bytes: u64,
    /// How long the kernel waits for a receipt, milliseconds.
    pub wait_ms: u64,
}

/// One call. Grants and elevations are in the JSON form that they are signed and kept in.
#[expect(missing_docs, reason = "the methods of `Gate`, with their arguments")]
#[expect(clippy::large_enum_variant, reason = "the large one is the usual one")]
pub enum Call {
    Authorize {
        request: ActionRequest,
        credential: Credential,
        approval: Option<String>,
    },
    Durable {
        tickets: Vec<u64>,
    },
    Recorded {
        ticket: u64,
    },
    Settle {
        lease: String,
        actual: BTreeMap<String, i64>,
        result: Value,
    },
    Cancel {
        lease: String,
    },
    Abandon {
        lease: String,
    },
    Undos(Steps),
    TakeUndo {
        steps: Steps,
        request_id: String,
    },
    ReturnUndo {
        steps: Steps,
        request_id: String,
    },
    /// Without a text: one that is too long for a frame.
    Observe {
        tenant: String,
        conversation: String,
        source: String,
        text: Option<String>,
    },
    OpenSession {
        grant: Vec<u8>,
    },
    Elevate {
        elevation: Vec<u8>,
    },
    Pending,
    Approval {
        id: String,
    },
    SignApproval {
        id: String,
        key_id: String,
        verdict: Verdict,
        signature: Vec<u8>,
    },
    Revoke {
        subject: Subject,
        back: bool,
    },
    Reload,
    PolicyHash,
    Proof {
        index: u64,
    },
    Totals,
    Shadow,
}

/// Something that went wrong, as a `KernelError` that travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    kind: u8,
    message: String,
}

/// What a ticket is good for: nothing for an answer whose receipt is not kept.
pub type Fetched = Result<Option<Durable>, Fault>;

/// One reply.
#[expect(missing_docs, reason = "what the methods of `Gate` return")]
#[expect(clippy::large_enum_variant, reason = "the large one is the usual one")]
pub enum Reply {
    Fault(Fault),
    Answer { authorization: Authorization, ticket: Option<u64> },
    Durable(Vec<Fetched>),
    Outcome(Outcome),
    Flag(bool),
    Done,
    Undos(Vec<Undo>),
    Session { id: String, key: [u8; 32] },
    Approvals(Vec<ApprovalRecord>),
    State(ApprovalState),
    Hash([u8; 32]),
    Text(String),
    Totals(Totals),
    Shadow(Vec<ShadowCounters>),
}

impl From<&KernelError> for Fault {
    fn from(error: &KernelError) -> Self {
        let kind = match error {
            KernelError::Config(_) => 0,
            KernelError::Policy(_) => 1,
            KernelError::Invalid(_) => 2,
            KernelError::Signature(_) => 3,
            KernelError::LeaseConflict(_) => 4,
            KernelError::Limit(_) => 5,
            KernelError::Permit(_) => 6,
            KernelError::Unavailable(_) => 7,
        };
        Self { kind, message: error.to_string() }
    }
}

impl From<Fault> for KernelError {
    fn from(fault: Fault) -> Self {
        let Fault { kind, message } = fault;
        match kind {
            0 => Self::Config(message),
            1 => Self::Policy(message),
            2 => Self::Invalid(message),
            3 => Self::Signature(message),
            4 => Self::LeaseConflict(message),
            5 => Self::Limit(message),
            6 => Self::Permit(message),
            _ => Self::Unavailable(message),
        }
    }
}

/// Writes a frame behind what `out` holds already.
fn frame(out: &mut Vec<u8>, kind: u8, fields: impl FnOnce(&mut Writer<'_>)) {
    let start = out.len();
    out.extend_from_slice(&[0, 0, 0, 0, kind]);
    fields(&mut Writer(out));
    let length = out.len().saturating_sub(start).saturating_sub(HEAD - 1);
    // What does not fit 32 bits is beyond the limit of every kernel, and not sent.
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
    for (to, from) in out.iter_mut().skip(start).zip(length) {
        *to = from;
    }
}

/// How many bytes the frame has that begins with these, its head included; nothing while that is not known.
pub(super) fn frame_length(bytes: &[u8]) -> Option<u64> {
    let length = bytes.first_chunk::<4>()?;
    Some(u64::from(u32::from_le_bytes(*length)).saturating_add(4))
}

/// Kind and fields of a whole frame.
fn open(frame: &[u8]) -> Read<(u8, Reader<'_>)> {
    let (kind, fields) = frame.get(4..).and_then(<[u8]>::split_first).ok_or(Malformed)?;
    Ok((*kind, Reader::new(fields)))
}

impl Hello {
    /// Its frame.
    pub fn write(&self, out: &mut Vec<u8>) {
        frame(out, 0, |writer| {
            writer.array(&MAGIC).array(&self.client);
        });
    }

    /// Reads a whole frame.
    ///
    /// Errors: anything else, another version of the protocol included.
    pub fn read(frame: &[u8]) -> Read<Self> {
        let (kind, mut reader) = open(frame)?;
        if kind != 0 || reader.array()? != MAGIC {
            return Err(Malformed);
        }
        let hello = Self { client: reader.array()? };
        reader.end()?;
        Ok(hello)
    }
}

impl Welcome {
    /// Its frame.
    pub fn write(&self, out: &mut Vec<u8>) {
        frame(out, 0, |writer| {
            writer
                .array(&MAGIC)
                .text(&self.audience)
                .unsigned(self.frame_bytes)
                .unsigned(self.wait_ms);
        });
    }

    /// Reads a whole frame.
    ///
    /// Errors: what the kernel says instead, or anything else.
    pub fn read(frame: &[u8]) -> Read<Result<Self, Fault>> {
        let (kind, mut reader) = open(frame)?;
        if kind == FAULT {
            let fault = read_fault(&mut reader)?;
            reader.end()?;
            return Ok(Err(fault));
        }
        if kind != 0 || reader.array()? != MAGIC {
            return Err(Malformed);
        }
        let welcome = Self {
            audience: reader.text()?,
            frame_bytes: reader.unsigned()?,
            wait_ms: reader.unsigned()?,
        };
        reader.end()?;
        Ok(Ok(welcome))
    }
}

fn write_request(writer: &mut Writer<'_>, request: &ActionRequest) {
    writer
        .text(&request.tenant)
        .text(&request.agent)
        .text(&request.role)
        .text(&request.tool)
        .value(&request.args)
        .maybe(request.session.as_deref())
        .maybe(request.conversation.as_deref())
        .maybe(request.model.as_deref())
        .maybe(request.model_version.as_deref())
        .maybe(request.trace_id.as_deref())
        .list(request.estimate.iter(), |writer, (unit, amount)| {
            writer.text(unit).number(*amount);
        });
}

fn read_request(reader: &mut Reader<'_>) -> Read<ActionRequest> {
    Ok(ActionRequest {
        tenant: reader.text()?,
        agent: reader.text()?,
        role: reader.text()?,
        tool: reader.text()?,
        args: reader.value()?,
        session: reader.maybe()?,
        conversation: reader.maybe()?,
        model: reader.maybe()?,
        model_version: reader.maybe()?,
        trace_id: reader.maybe()?,
        estimate: reader.list(|reader| Ok((reader.text()?, reader.number()?)))?,
    })
}

fn write_credential(writer: &mut Writer<'_>, credential: &Credential) {
    let stamp = &credential.stamp;
    writer
        .text(&stamp.request_id)
        .array(&stamp.nonce)
        .number(stamp.issued_at_ms)
        .number(stamp.expires_at_ms)
        .text(&stamp.audience);
    match &credential.proof {
        Proof::Signature { key_id, signature } => writer.byte(0).text(key_id).array(signature),
        Proof::Mac { session, tag } => writer.byte(1).text(session).array(tag),
        Proof::Process => writer.byte(2),
    };
}

fn read_credential(reader: &mut Reader<'_>) -> Read<Credential> {
    let stamp = Stamp {
        request_id: reader.text()?,
        nonce: reader.array()?,
        issued_at_ms: reader.number()?,
        expires_at_ms: reader.number()?,
        audience: reader.text()?,
    };
    let proof = match reader.byte()? {
        0 => Proof::Signature { key_id: reader.text()?, signature: reader.array()? },
        1 => Proof::Mac { session: reader.text()?, tag: reader.array()? },
        2 => Proof::Process,
        _ => return Err(Malformed),
    };
    Ok(Credential { stamp, proof })
}

/// The frame of [`Call::Authorize`], from what the caller keeps.
pub(super) fn write_authorize(
    out: &mut Vec<u8>,
    request: &ActionRequest,
    credential: &Credential,
    approval: Option<&str>,
) {
    frame(out, 1, |writer| {
        write_request(writer, request);
        write_credential(writer, credential);
        writer.maybe(approval);
    });
}

/// A [`Trace`] on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steps {
    trace_id: String,
    tenant: Option<String>,
    agent: Option<String>,
}

impl Steps {
    pub(crate) fn of(trace: Trace<'_>) -> Self {
        Self {
            trace_id: trace.id.to_owned(),
            tenant: trace.tenant.map(str::to_owned),
            agent: trace.agent.map(str::to_owned),
        }
    }

    pub(crate) fn trace(&self) -> Trace<'_> {
        Trace { id: &self.trace_id, tenant: self.tenant.as_deref(), agent: self.agent.as_deref() }
    }

    fn write(&self, writer: &mut Writer<'_>) {
        let Self { trace_id, tenant, agent } = self;
        writer.text(trace_id).maybe(tenant.as_deref()).maybe(agent.as_deref());
    }

    fn read(reader: &mut Reader<'_>) -> Read<Self> {
        Ok(Self { trace_id: reader.text()?, tenant: reader.maybe()?, agent: reader.maybe()? })
    }
}

fn write_undo(writer: &mut Writer<'_>, undo: &Undo) {
    writer.text(&undo.tenant).text(&undo.agent);
    writer.text(&undo.request_id).number(undo.order).text(&undo.tool).bytes(&undo.args);
}

fn read_undo(reader: &mut Reader<'_>) -> Read<Undo> {
    Ok(Undo {
        tenant: reader.text()?,
        agent: reader.text()?,
        request_id: reader.text()?,
        order: reader.number()?,
        tool: reader.text()?,
        args: reader.bytes()?.to_vec(),
    })
}

fn write_fault(writer: &mut Writer<'_>, fault: &Fault) {
    writer.byte(fault.kind).text(&fault.message);
}

fn read_fault(reader: &mut Reader<'_>) -> Read<Fault> {
    let kind = reader.byte()?;
    if kind > 7 {
        return Err(Malformed);
    }
    Ok(Fault { kind, message: reader.text()? })
}

fn word<T>(text: &str, find: impl FnOnce(&str) -> Option<T>) -> Read<T> {
    find(text).ok_or(Malformed)
}

impl Call {
    /// What a peer must be allowed to do for it.
    pub fn right(&self) -> Right {
        match self {
            Self::Authorize { .. }
            | Self::Durable { .. }
            | Self::Recorded { .. }
            | Self::Settle { .. }
            | Self::Cancel { .. }
            | Self::Abandon { .. }
            | Self::OpenSession { .. }
            | Self::PolicyHash
            | Self::Proof { .. } => Right::Act,
            Self::Observe { .. } => Right::Observe,
            Self::Elevate { .. }
            | Self::Pending
            | Self::Approval { .. }
            | Self::SignApproval { .. } => Right::Approve,
            Self::Undos(_) | Self::TakeUndo { .. } | Self::ReturnUndo { .. } => Right::Rollback,
            Self::Revoke { .. } => Right::Revoke,
            Self::Reload | Self::Totals | Self::Shadow => Right::Operate,
        }
    }

    /// Its frame.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Authorize { request, credential, approval } => {
                write_authorize(out, request, credential, approval.as_deref());
            }
            Self::Durable { tickets } => frame(out, 2, |writer| {
                writer.list(tickets.iter(), |writer, ticket| {
                    writer.unsigned(*ticket);
                });
            }),
            Self::Settle { lease, actual, result } => frame(out, 3, |writer| {
                writer
                    .text(lease)
                    .list(actual.iter(), |writer, (unit, amount)| {
                        writer.text(unit).number(*amount);
                    })
                    .value(result);
            }),
            Self::Cancel { lease } => frame(out, 4, |writer| {
                writer.text(lease);
            }),
            Self::Abandon { lease } => frame(out, 5, |writer| {
                writer.text(lease);
            }),
            Self::Undos(steps) => frame(out, 6, |writer| steps.write(writer)),
            Self::TakeUndo { steps, request_id } => frame(out, 7, |writer| {
                steps.write(writer);
                writer.text(request_id);
            }),
            Self::ReturnUndo { steps, request_id } => frame(out, 8, |writer| {
                steps.write(writer);
                writer.text(request_id);
            }),
            Self::Observe { tenant, conversation, source, text } => frame(out, 9, |writer| {
                writer.text(tenant).text(conversation).text(source).maybe(text.as_deref());
            }),
            Self::OpenSession { grant } => frame(out, 10, |writer| {
                writer.bytes(grant);
            }),
            Self::Elevate { elevation } => frame(out, 11, |writer| {
                writer.bytes(elevation);
            }),
            Self::Pending => frame(out, 12, |_| {}),
            Self::Approval { id } => frame(out, 13, |writer| {
                writer.text(id);
            }),
            Self::SignApproval { id, key_id, verdict, signature } => frame(out, 14, |writer| {
                writer.text(id).text(key_id).text(verdict.word()).bytes(signature);
            }),
            Self::Revoke { subject, back } => frame(out, 15, |writer| {
                writer
                    .text(subject.kind.word())
                    .text(&subject.name)
                    .text(&subject.tenant)
                    .text(&subject.agent)
                    .flag(*back);
            }),
            Self::Reload => frame(out, 16, |_| {}),
            Self::PolicyHash => frame(out, 17, |_| {}),
            Self::Proof { index } => frame(out, 18, |writer| {
                writer.unsigned(*index);
            }),
            Self::Totals => frame(out, 19, |_| {}),
            Self::Recorded { ticket } => frame(out, 20, |writer| {
                writer.unsigned(*ticket);
            }),
            Self::Shadow => frame(out, 21, |_| {}),
        }
    }

    /// Reads a whole frame.
    ///
    /// Errors: anything that [`Self::write`] would not have written.
    pub fn read(frame: &[u8]) -> Read<Self> {
        let (kind, mut reader) = open(frame)?;
        let call = match kind {
            1 => Self::Authorize {
                request: read_request(&mut reader)?,
                credential: read_credential(&mut reader)?,
                approval: reader.maybe()?,
            },
            2 => Self::Durable { tickets: reader.list(Reader::unsigned)? },
            3 => {
                let lease = reader.text()?;
                let pairs = reader.list(|reader| Ok((reader.text()?, reader.number()?)))?;
                if pairs.windows(2).any(|pair| matches!(pair, [a, b] if a.0 >= b.0)) {
                    return Err(Malformed);
                }
                let actual = pairs.into_iter().collect();
                Self::Settle { lease, actual, result: reader.value()? }
            }
            4 => Self::Cancel { lease: reader.text()? },
            5 => Self::Abandon { lease: reader.text()? },
            6 => Self::Undos(Steps::read(&mut reader)?),
            7 => Self::TakeUndo { steps: Steps::read(&mut reader)?, request_id: reader.text()? },
            8 => Self::ReturnUndo { steps: Steps::read(&mut reader)?, request_id: reader.text()? },
            9 => Self::Observe {
                tenant: reader.text()?,
                conversation: reader.text()?,
                source: reader.text()?,
                text: reader.maybe()?,
            },
            10 => Self::OpenSession { grant: reader.bytes()?.to_vec() },
            11 => Self::Elevate { elevation: reader.bytes()?.to_vec() },
            12 => Self::Pending,
            13 => Self::Approval { id: reader.text()? },
            14 => Self::SignApproval {
                id: reader.text()?,
                key_id: reader.text()?,
                verdict: word(reader.str()?, Verdict::from_word)?,
                signature: reader.bytes()?.to_vec(),
            },
            15 => Self::Revoke {
                subject: Subject {
                    kind: word(reader.str()?, SubjectKind::from_word)?,
                    name: reader.text()?,
                    tenant: reader.text()?,
                    agent: reader.text()?,
                },
                back: reader.flag()?,
            },
            16 => Self::Reload,
            17 => Self::PolicyHash,
            18 => Self::Proof { index: reader.unsigned()? },
            19 => Self::Totals,
            20 => Self::Recorded { ticket: reader.unsigned()? },
            21 => Self::Shadow,
            _ => return Err(Malformed),
        };
        reader.end()?;
        Ok(call)
    }
}

const FAULT: u8 = 100;

const LEASE_STATES: [LeaseState; 5] = [
    LeaseState::Reserved,
    LeaseState::Settled,
    LeaseState::Cancelled,
    LeaseState::Expired,
    LeaseState::Unknown,
];

/// The frame of [`Reply::Answer`], from what the kernel keeps.
pub(super) fn write_answer(out: &mut Vec<u8>, answer: &Authorization, ticket: Option<u64>) {
    frame(out, 101, |writer| {
        writer
            .byte(match answer.decision {
                Decision::Deny => 0,
                Decision::Escalate => 1,
                Decision::Allow => 2,
            })
            .flag(answer.status == Status::Ok)
            .text(&answer.reason)
            .maybe(answer.message.as_deref())
            .texts(&answer.rule_ids)
            .array(&answer.policy_hash)
            .maybe(answer.lease.as_deref())
            .maybe(answer.approval.as_deref())
            .text(&answer.request_id)
            .texts(&answer.shadow)
            .texts(&answer.taint)
            .option(ticket, |writer, ticket| {
                writer.unsigned(ticket);
            });
    });
}

fn read_answer(reader: &mut Reader<'_>) -> Read<Reply> {
    let decision = match reader.byte()? {
        0 => Decision::Deny,
        1 => Decision::Escalate,
        2 => Decision::Allow,
        _ => return Err(Malformed),
    };
    let status = if reader.flag()? { Status::Ok } else { Status::Error };
    let mut answer = Authorization::unavailable("");
    answer.decision = decision;
    answer.status = status;
    answer.reason = reader.text()?;
    answer.message = reader.maybe()?;
    answer.rule_ids = reader.texts()?;
    answer.policy_hash = reader.array()?;
    answer.lease = reader.maybe()?;
    answer.approval = reader.maybe()?;
    answer.request_id = reader.text()?;
    answer.shadow = reader.texts()?;
    answer.taint = reader.texts()?;
    let ticket = reader.option(Reader::unsigned)?;
    // Whatever else it says, what is allowed was checked and has a reservation.
    if decision == Decision::Allow && (status != Status::Ok || answer.lease.is_none()) {
        return Err(Malformed);
    }
    Ok(Reply::Answer { authorization: answer, ticket })
}

fn write_durable(writer: &mut Writer<'_>, durable: &Durable) {
    writer
        .bytes(&durable.receipt)
        .array(&durable.opening)
        .option(durable.permit.as_ref(), |writer, permit| {
            writer.bytes(permit);
        })
        .option(durable.placed.as_ref(), |writer, placed| {
            writer.unsigned(placed.index).unsigned(placed.tree_size).text(&placed.checkpoint);
        });
}

fn read_durable(reader: &mut Reader<'_>) -> Read<Durable> {
    Ok(Durable {
        receipt: Arc::new(reader.bytes()?.to_vec()),
        opening: reader.array()?,
        permit: reader.option(|reader| Ok(Arc::new(reader.bytes()?.to_vec())))?,
        placed: reader.option(|reader| {
            Ok(Placed {
                index: reader.unsigned()?,
                tree_size: reader.unsigned()?,
                checkpoint: Arc::from(reader.str()?),
            })
        })?,
    })
}

fn write_approval(writer: &mut Writer<'_>, record: &ApprovalRecord) {
    writer
        .text(&record.id)
        .bytes(&record.action)
        .text(&record.tenant)
        .text(&record.agent)
        .maybe(record.session.as_deref())
        .text(&record.requester)
        .text(&record.tool)
        .text(&record.rule)
        .number(i64::from(record.m))
        .text(&record.group)
        .number(record.created_ms)
        .number(record.expires_ms)
        .text(record.state.word())
        .list(record.sealed.iter(), |writer, sealed| {
            writer.text(&sealed.approver).bytes(&sealed.bytes);
        })
        .list(record.signatures.iter(), |writer, signed| {
            writer
                .text(&signed.approver)
                .text(&signed.name)
                .text(signed.verdict.word())
                .number(signed.at_ms)
                .bytes(&signed.signature);
        });
}

fn read_approval(reader: &mut Reader<'_>) -> Read<ApprovalRecord> {
    Ok(ApprovalRecord {
        id: reader.text()?,
        action: reader.bytes()?.to_vec(),
        tenant: reader.text()?,
        agent: reader.text()?,
        session: reader.maybe()?,
        requester: reader.text()?,
        tool: reader.text()?,
        rule: reader.text()?,
        m: u32::try_from(reader.number()?).map_err(|_| Malformed)?,
        group: reader.text()?,
        created_ms: reader.number()?,
        expires_ms: reader.number()?,
        state: word(reader.str()?, ApprovalState::from_word)?,
        sealed: reader.list(|reader| {
            Ok(Sealed { approver: reader.text()?, bytes: reader.bytes()?.to_vec() })
        })?,
        signatures: reader.list(|reader| {
            Ok(Signed {
                approver: reader.text()?,
                name: reader.text()?,
                verdict: word(reader.str()?, Verdict::from_word)?,
                at_ms: reader.number()?,
                signature: reader.bytes()?.to_vec(),
            })
        })?,
    })
}

impl Reply {
    /// Its frame.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Fault(fault) => frame(out, FAULT, |writer| write_fault(writer, fault)),
            Self::Answer { authorization, ticket } => write_answer(out, authorization, *ticket),
            Self::Durable(fetched) => frame(out, 102, |writer| {
                writer.list(fetched.iter(), |writer, one| match one {
                    Err(fault) => write_fault(writer.byte(0), fault),
                    Ok(None) => {
                        writer.byte(1);
                    }
                    Ok(Some(durable)) => write_durable(writer.byte(2), durable),
                });
            }),
            Self::Outcome(outcome) => frame(out, 103, |writer| {
                writer
                    .text(outcome.state.word())
                    .list(outcome.charged.iter(), |writer, charge| {
                        writer.text(&charge.budget).text(&charge.unit).number(charge.amount);
                    })
                    .flag(outcome.overrun)
                    .flag(outcome.barred);
            }),
            Self::Flag(flag) => frame(out, 104, |writer| {
                writer.flag(*flag);
            }),
            Self::Done => frame(out, 105, |_| {}),
            Self::Undos(undos) => frame(out, 106, |writer| {
                writer.list(undos.iter(), write_undo);
            }),
            Self::Session { id, key } => frame(out, 107, |writer| {
                writer.text(id).array(key);
            }),
            Self::Approvals(records) => frame(out, 108, |writer| {
                writer.list(records.iter(), write_approval);
            }),
            Self::State(state) => frame(out, 109, |writer| {
                writer.text(state.word());
            }),
            Self::Hash(hash) => frame(out, 110, |writer| {
                writer.array(hash);
            }),
            Self::Text(text) => frame(out, 111, |writer| {
                writer.text(text);
            }),
            Self::Totals(totals) => frame(out, 112, |writer| {
                writer.list(totals.iter(), |writer, (key, (drawn, reserved, settled))| {
                    writer
                        .text(&key.limit)
                        .text(&key.scope)
                        .number(key.window_ms)
                        .number(*drawn)
                        .number(*reserved)
                        .number(*settled);
                });
            }),
            Self::Shadow(counters) => frame(out, 113, |writer| {
                writer.list(counters.iter(), |writer, one| {
                    writer.text(&one.rule_id);
                    for count in [one.evaluated, one.satisfied, one.errors, one.would_change] {
                        writer.unsigned(count);
                    }
                });
            }),
        }
    }

    /// Reads a whole frame.
    ///
    /// Errors: anything that [`Self::write`] would not have written.
    pub fn read(frame: &[u8]) -> Read<Self> {
        let (kind, mut reader) = open(frame)?;
        let reply = match kind {
            FAULT => Self::Fault(read_fault(&mut reader)?),
            101 => read_answer(&mut reader)?,
            102 => Self::Durable(reader.list(|reader| {
                Ok(match reader.byte()? {
                    0 => Err(read_fault(reader)?),
                    1 => Ok(None),
                    2 => Ok(Some(read_durable(reader)?)),
                    _ => return Err(Malformed),
                })
            })?),
            103 => Self::Outcome(Outcome {
                state: word(reader.str()?, |text| {
                    LEASE_STATES.into_iter().find(|state| state.word() == text)
                })?,
                charged: reader.list(|reader| {
                    Ok(Charge {
                        budget: reader.str()?.into(),
                        unit: reader.str()?.into(),
                        amount: reader.number()?,
                    })
                })?,
                overrun: reader.flag()?,
                barred: reader.flag()?,
            }),
            104 => Self::Flag(reader.flag()?),
            105 => Self::Done,
            106 => Self::Undos(reader.list(read_undo)?),
            107 => Self::Session { id: reader.text()?, key: reader.array()? },
            108 => Self::Approvals(reader.list(read_approval)?),
            109 => Self::State(word(reader.str()?, ApprovalState::from_word)?),
            110 => Self::Hash(reader.array()?),
            111 => Self::Text(reader.text()?),
            112 => {
                let totals = reader.list(|reader| {
                    let key = AccountKey {
                        limit: reader.text()?,
                        scope: reader.text()?,
                        window_ms: reader.number()?,
                    };
                    Ok((key, (reader.number()?, reader.number()?, reader.number()?)))
                })?;
                if totals.windows(2).any(|pair| matches!(pair, [a, b] if a.0 >= b.0)) {
                    return Err(Malformed);
                }
                Self::Totals(totals.into_iter().collect())
            }
            113 => Self::Shadow(reader.list(|reader| {
                Ok(ShadowCounters {
                    rule_id: reader.text()?.into(),
                    evaluated: reader.unsigned()?,
                    satisfied: reader.unsigned()?,
                    errors: reader.unsigned()?,
                    would_change: reader.unsigned()?,
                })
            })?),
            _ => return Err(Malformed),
        };
        reader.end()?;
        Ok(reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sift_policy::json::{parse, JsonLimits};

    fn value() -> Value {
        let text = br#"{"a":[1,1.0,-0.5,null,true,false,"x",{}],"b":{"c":[[]]}}"#;
        parse(text, &JsonLimits::default()).unwrap()
    }

    fn request() -> ActionRequest {
        let some = || Some("x".to_owned());
        ActionRequest {
            tenant: "t".to_owned(),
            agent: "a".to_owned(),
            role: "r".to_owned(),
            tool: "x".to_owned(),
            args: value(),
            session: some(),
            conversation: None,
            model: some(),
            model_version: None,
            trace_id: some(),
            estimate: vec![("usd_micros".to_owned(), 5)],
        }
    }

    fn calls() -> Vec<Call> {
        let stamp = Stamp::new("k", 5, 10).unwrap();
        let text = || "x".to_owned();
        let steps = || Steps { trace_id: text(), tenant: Some(text()), agent: None };
        let subject = Subject::session("acme", "bot", &text());
        let mut calls: Vec<Call> = [
            Proof::Signature { key_id: text(), signature: [1; 64] },
            Proof::Mac { session: text(), tag: [2; 32] },
            Proof::Process,
        ]
        .into_iter()
        .map(|proof| Call::Authorize {
            request: request(),
            credential: Credential { stamp: stamp.clone(), proof },
            approval: Some(text()),
        })
        .collect();
        let actual = [("a".to_owned(), 1), ("b".to_owned(), -2)].into();
        calls.extend([
            Call::Durable { tickets: vec![0, u64::MAX] },
            Call::Recorded { ticket: u64::MAX },
            Call::Settle { lease: text(), actual, result: value() },
            Call::Cancel { lease: text() },
            Call::Abandon { lease: text() },
            Call::Undos(steps()),
            Call::TakeUndo { steps: steps(), request_id: text() },
            Call::ReturnUndo { steps: steps(), request_id: text() },
            Call::Observe {
                tenant: text(),
                conversation: text(),
                source: text(),
                text: Some(text()),
            },
            Call::Observe { tenant: text(), conversation: text(), source: text(), text: None },
            Call::OpenSession { grant: vec![1, 2] },
            Call::Elevate { elevation: vec![] },
            Call::Pending,
            Call::Approval { id: text() },
            Call::SignApproval {
                id: text(),
                key_id: text(),
                verdict: Verdict::Reject,
                signature: vec![9; 64],
            },
            Call::Revoke { subject, back: true },
            Call::Reload,
            Call::PolicyHash,
            Call::Proof { index: 7 },
            Call::Totals,
            Call::Shadow,
        ]);
        calls
    }

    fn replies() -> Vec<Reply> {
        let text = || "x".to_owned();
        let mut answer = Authorization::unavailable("r1");
        answer.message = Some(text());
        answer.rule_ids = vec![text(), text()];
        let mut allowed = answer.clone();
        allowed.decision = Decision::Allow;
        allowed.status = Status::Ok;
        allowed.lease = Some(text());
        let durable = Durable {
            receipt: Arc::new(vec![1]),
            opening: [6; 32],
            permit: Some(Arc::new(vec![2])),
            placed: Some(Placed { index: 1, tree_size: 2, checkpoint: Arc::from("c") }),
        };
        let fault = Fault::from(&KernelError::LeaseConflict(text()));
        let approval = ApprovalRecord {
            id: text(),
            action: vec![1; 32],
            tenant: text(),
            agent: text(),
            session: None,
            requester: text(),
            tool: text(),
            rule: text(),
            m: 2,
            group: text(),
            created_ms: 1,
            expires_ms: 2,
            state: ApprovalState::Approved,
            sealed: vec![Sealed { approver: text(), bytes: vec![3] }],
            signatures: vec![Signed {
                approver: text(),
                name: text(),
                verdict: Verdict::Approve,
                at_ms: 4,
                signature: vec![5; 64],
            }],
        };
        let key = |limit: &str| AccountKey { limit: limit.to_owned(), scope: text(), window_ms: 0 };
        vec![
            Reply::Fault(fault.clone()),
            Reply::Answer { authorization: answer, ticket: None },
            Reply::Answer { authorization: allowed, ticket: Some(3) },
            Reply::Durable(vec![Err(fault), Ok(None), Ok(Some(durable))]),
            Reply::Outcome(Outcome {
                state: LeaseState::Expired,
                charged: vec![Charge { budget: "x".into(), unit: "x".into(), amount: 5 }],
                overrun: true,
                barred: true,
            }),
            Reply::Flag(true),
            Reply::Done,
            Reply::Undos(vec![]),
            Reply::Session { id: text(), key: [8; 32] },
            Reply::Approvals(vec![approval]),
            Reply::State(ApprovalState::Rejected),
            Reply::Hash([1; 32]),
            Reply::Text(text()),
            Reply::Totals([(key("a"), (1, 2, 3)), (key("b"), (4, 5, 6))].into()),
            Reply::Shadow(vec![ShadowCounters {
                rule_id: "trial".into(),
                evaluated: 4,
                satisfied: 3,
                errors: 2,
                would_change: 1,
            }]),
        ]
    }

    /// Every cut and every extension of a frame is refused, and what is read is written as it was.
    fn check<T>(one: &T, write: fn(&T, &mut Vec<u8>), read: fn(&[u8]) -> Read<T>) {
        let mut frame = Vec::new();
        write(one, &mut frame);
        assert_eq!(frame_length(&frame), Some(frame.len() as u64));
        let mut again = Vec::new();
        write(&read(&frame).unwrap(), &mut again);
        assert_eq!(frame, again);
        for cut in 0..frame.len() {
            assert!(read(frame.get(..cut).unwrap()).is_err());
        }
        // Behind the length, which is the transport's.
        for place in 4..frame.len() {
            for change in [1, 2, 0x40, 0x80, 0xFF] {
                let mut changed = frame.clone();
                changed[place] ^= change;
                let Ok(message) = read(&changed) else { continue };
                again.clear();
                write(&message, &mut again);
                assert_eq!(again.get(4..), changed.get(4..));
            }
        }
        frame.push(0);
        assert!(read(&frame).is_err());
    }

    #[test]
    fn messages_come_back_and_nothing_else_is_one() {
        for call in calls() {
            check(&call, Call::write, Call::read);
        }
        for reply in replies() {
            check(&reply, Reply::write, Reply::read);
        }
        check(&Hello { client: [3; 16] }, Hello::write, Hello::read);
    }

    #[test]
    fn integers_and_floats_stay_what_they_are() {
        let call = Call::Settle { lease: String::new(), actual: BTreeMap::new(), result: value() };
        let mut frame = Vec::new();
        call.write(&mut frame);
        let Ok(Call::Settle { result, .. }) = Call::read(&frame) else {
            panic!("another call");
        };
        assert_eq!(result, value());
        assert_eq!(result.pointer("/a/1"), Some(&Value::Float(1.0)));
    }

    fn raw(value: &[u8]) -> Read<Call> {
        let mut frame = Vec::new();
        super::frame(&mut frame, 3, |writer| {
            writer.text("l").list([].iter(), |_, _: &u8| {}).array(value);
        });
        Call::read(&frame)
    }

    #[test]
    fn values_that_json_does_not_have_are_refused() {
        assert!(raw(&[0]).is_ok());
        let nan = [&[4], f64::NAN.to_bits().to_le_bytes().as_slice()].concat();
        let member = [&[1, 0, 0, 0][..], b"a", &[0]].concat();
        let twice = [&[7, 2, 0, 0, 0][..], &member, &member].concat();
        let deep = [6, 1, 0, 0, 0].repeat(129);
        let announced = [6, 255, 255, 255, 255];
        let lone = [5, 3, 0, 0, 0, 0xED, 0xA0, 0x80];
        for wrong in [&nan[..], &twice, &deep, &announced, &lone, &[8], &[]] {
            assert!(raw(wrong).is_err(), "{wrong:?}");
        }
        let many = [&[6][..], &20_000_u32.to_le_bytes(), &[0; 20_000]].concat();
        assert!(raw(&many).is_err());
    }

    #[test]
    fn an_allowing_answer_without_lease_is_none() {
        let mut answer = Authorization::unavailable("r1");
        answer.decision = Decision::Allow;
        let mut frame = Vec::new();
        write_answer(&mut frame, &answer, None);
        assert!(Reply::read(&frame).is_err());
    }

    #[test]
    fn faults_are_the_errors_they_were() {
        let text = || "why".to_owned();
        for error in [
            KernelError::Config(text()),
            KernelError::Policy(text()),
            KernelError::Invalid(text()),
            KernelError::Signature(text()),
            KernelError::LeaseConflict(text()),
            KernelError::Limit(text()),
            KernelError::Permit(text()),
            KernelError::Unavailable(text()),
        ] {
            let again = KernelError::from(Fault::from(&error));
            assert_eq!(format!("{again:?}"), format!("{error:?}"));
        }
    }
}
