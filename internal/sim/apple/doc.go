// Package apple plays Apple on the loopback interface: the push service, and the
// courier that carries pushes on to simulated tablets.
//
// APNs is an HTTP/2 server that refuses what Apple refuses: a client without a
// push certificate, another topic, another push type, a missing expiration, a
// payload that is not exactly {"mdm":"<PushMagic>"}, a token it never gave out or
// that is registered no more. It counts all it saw ([APNs.Counts]) and fails when
// told to ([APNs.Fail]) or at random by seed ([Faults]).
//
// The courier is what an iPad's own connection to Apple is in life. It is plain
// HTTP, for tablets live in another process ([APNs.CourierURL] is the base):
//
//	POST /courier/tokens?client=C      [{"token":"<hex>","topic":"…","magic":"…"}, …]
//	POST /courier/unregister?client=C  ["<hex>", …]
//	GET  /courier?client=C             a stream, one line a push:
//	                                   {"token":"<hex>","mdm":"<magic>","topic":"…","expires":"<RFC 3339>"}
//
// A token belongs to the client that registered it last. Of each token the
// latest push is kept until its client's stream takes it or it expires, as APNs
// does; apns-expiration 0 is not kept. Who unregisters a token (a tablet that was
// erased) makes APNs answer 410 for it. The magic is not known to Apple: it is
// only there to count pushes with a wrong one, which are delivered all the same.
//
// Trust comes from a throw-away authority made at start: give the server
// [APNs.RootPEM] as RANZEN_APPLE_CA and [APNs.URL] as RANZEN_APNS_URL.
//
// What the seed replays: which push of a token fails how, by the token and how
// many pushes came for it before. Not replayed: keys, certificates, ports, order.
package apple
