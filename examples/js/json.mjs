// A small JSON API, kept in memory:  make serve APP=examples/js/json.mjs
//
//     curl -d '{"title": "learn Carom"}' localhost:8080/notes
//     curl localhost:8080/notes
//     curl -X DELETE localhost:8080/notes/1

const notes = new Map();
let last = 0;

function problem(status, message) {
  return Response.json({ error: message }, { status });
}

async function create(request) {
  let note;
  try {
    note = await request.json();
  } catch {
    return problem(400, 'the body is not JSON');
  }
  if (note === null || typeof note.title !== 'string' || note.title === '') return problem(422, 'title must be a text');
  const id = ++last;
  notes.set(id, { id, title: note.title });
  return Response.json(notes.get(id), { status: 201, headers: { location: `/notes/${id}` } });
}

export default async function fetch(request) {
  const { method } = request;
  const [, collection, id] = new URL(request.url).pathname.split('/');
  if (collection !== 'notes') return problem(404, 'there is only /notes');
  if (id === undefined && method === 'GET') return Response.json([...notes.values()]);
  if (id === undefined && method === 'POST') return create(request);
  const note = notes.get(Number(id));
  if (note === undefined) return problem(404, 'there is no such note');
  if (method === 'GET') return Response.json(note);
  if (method !== 'DELETE') return problem(405, `${method} is not for notes`);
  notes.delete(note.id);
  return new Response(null, { status: 204 });
}
