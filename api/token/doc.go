// Package token issues and checks access tokens: JSON Web Tokens (RFC 7519)
// in the profile of RFC 9068, signed with Ed25519.
//
//	header  {"alg":"EdDSA","kid":…,"typ":"at+jwt"}      nothing else is accepted
//	claims  {"iss":site,"sub":user id,"aud":["sallyport"],"exp","iat","sid":session}
//
// # Promised
//
//   - One algorithm, one issuer, one audience; header and claims have exactly
//     the members that are written here. The key is looked up by kid
//     among those given, so that no header of a token chooses how it is checked.
//   - A token says who somebody is and nothing else: whether that user is
//     active and what their role is must be asked anew at each call.
//   - A token that was verified once is known by its SHA-256 until it expires,
//     so that its signature is not computed at every call. What is refused is
//     never remembered, and no token is kept.
package token
