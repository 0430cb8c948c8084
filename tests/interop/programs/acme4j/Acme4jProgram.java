import java.io.FileInputStream;
import java.io.FileReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.Writer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.KeyStore;
import java.security.Security;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.shredzone.acme4j.AccountBuilder;
import org.shredzone.acme4j.Authorization;
import org.shredzone.acme4j.Certificate;
import org.shredzone.acme4j.Identifier;
import org.shredzone.acme4j.Login;
import org.shredzone.acme4j.Order;
import org.shredzone.acme4j.RevocationReason;
import org.shredzone.acme4j.Session;
import org.shredzone.acme4j.Status;
import org.shredzone.acme4j.challenge.Challenge;
import org.shredzone.acme4j.challenge.Dns01Challenge;
import org.shredzone.acme4j.challenge.Http01Challenge;
import org.shredzone.acme4j.challenge.TlsAlpn01Challenge;
import org.shredzone.acme4j.util.KeyPairUtils;

/**
 * A small command line on acme4j.
 *
 * <pre>Acme4jProgram issue|renew|revoke|revoke-by-key CHALLENGE NAME...</pre>
 *
 * The environment says where: INTEROP_DIRECTORY (the ACME directory), INTEROP_ROOT (the root it is trusted by),
 * INTEROP_STATE (a folder for the account and the certificates), INTEROP_WEBROOT, INTEROP_ALPN (a folder for
 * certificates that tls-alpn-01 shows) and INTEROP_DNS_HOOK (the program that changes DNS records).
 */
public final class Acme4jProgram {
    private static final Duration PATIENCE = Duration.ofSeconds(60);

    private static Path folder(String variable) {
        return Path.of(System.getenv(variable));
    }

    private static Path state(String name) {
        return folder("INTEROP_STATE").resolve(name);
    }

    private static void trust(Path root) throws Exception {
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        store.setCertificateEntry("root", readCertificate(root));
        TrustManagerFactory managers = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        managers.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, managers.getTrustManagers(), null);
        SSLContext.setDefault(context);
    }

    private static X509Certificate readCertificate(Path file) throws Exception {
        try (InputStream stream = new FileInputStream(file.toFile())) {
            return (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(stream);
        }
    }

    private static KeyPair readKey(Path file) throws IOException {
        try (FileReader reader = new FileReader(file.toFile())) {
            return KeyPairUtils.readKeyPair(reader);
        }
    }

    private static void writeKey(KeyPair key, Path file) throws IOException {
        try (Writer writer = Files.newBufferedWriter(file)) {
            KeyPairUtils.writeKeyPair(key, writer);
        }
    }

    private static KeyPair accountKey() throws IOException {
        Path file = state("account.key");
        if (!Files.exists(file)) {
            writeKey(KeyPairUtils.createECKeyPair("secp256r1"), file);
        }
        return readKey(file);
    }

    private static void hook(String verb, String name, String text) throws Exception {
        Process process = new ProcessBuilder(System.getenv("INTEROP_DNS_HOOK"), verb, name, text).inheritIO().start();
        if (process.waitFor() != 0) {
            throw new IOException("the DNS hook failed");
        }
    }

    private static String pem(X509Certificate certificate) throws Exception {
        return "-----BEGIN CERTIFICATE-----\n" + Base64.getMimeEncoder(64, new byte[] {'\n'})
            .encodeToString(certificate.getEncoded()) + "\n-----END CERTIFICATE-----\n";
    }

    /** Puts the answer where the server will look; the result takes it away again. */
    private static AutoCloseable show(Authorization authorization, Challenge challenge) throws Exception {
        Identifier identifier = authorization.getIdentifier();
        if (challenge instanceof Http01Challenge http) {
            Path file = folder("INTEROP_WEBROOT").resolve(".well-known/acme-challenge").resolve(http.getToken());
            Files.createDirectories(file.getParent());
            Files.writeString(file, http.getAuthorization());
            return () -> Files.delete(file);
        }
        if (challenge instanceof Dns01Challenge dns) {
            String name = dns.getRRName(identifier);
            String digest = dns.getDigest();
            hook("add", name, digest);
            return () -> hook("remove", name, digest);
        }
        TlsAlpn01Challenge tls = (TlsAlpn01Challenge) challenge;
        KeyPair key = KeyPairUtils.createKeyPair(2048);
        Path keyFile = folder("INTEROP_ALPN").resolve(identifier.getValue() + ".key.pem");
        Path file = folder("INTEROP_ALPN").resolve(identifier.getValue() + ".crt.pem");
        writeKey(key, keyFile);
        Files.writeString(file, pem(tls.createCertificate(key, identifier)));
        return () -> {
            Files.delete(file);
            Files.delete(keyFile);
        };
    }

    private static void authorize(Authorization authorization, String type) throws Exception {
        if (authorization.getStatus() == Status.VALID) {
            return;
        }
        Challenge challenge = authorization.findChallenge(type).orElseThrow(
            () -> new IllegalStateException("the server offers no " + type));
        try (AutoCloseable shown = show(authorization, challenge)) {
            challenge.trigger();
            if (challenge.waitForCompletion(PATIENCE) != Status.VALID) {
                throw new IllegalStateException("challenge failed: " + challenge.getError());
            }
        }
    }

    private static void obtain(Login login, String type, List<String> names) throws Exception {
        List<Identifier> identifiers = new ArrayList<>();
        for (String name : names) {
            identifiers.add(name.matches("[0-9.]+") ? Identifier.ip(name) : Identifier.dns(name));
        }
        Order order = login.newOrder().identifiers(identifiers).create();
        for (Authorization authorization : order.getAuthorizations()) {
            authorize(authorization, type);
        }
        KeyPair key = KeyPairUtils.createECKeyPair("secp256r1");
        order.waitUntilReady(PATIENCE);
        order.execute(key);
        if (order.waitForCompletion(PATIENCE) != Status.VALID) {
            throw new IllegalStateException("order failed: " + order.getError());
        }
        writeKey(key, state(names.get(0) + ".key"));
        try (Writer writer = Files.newBufferedWriter(state(names.get(0) + ".crt"))) {
            order.getCertificate().writeCertificate(writer);
        }
    }

    public static void main(String[] arguments) throws Exception {
        List<String> names = new ArrayList<>(Arrays.asList(arguments).subList(2, arguments.length));
        Security.addProvider(new BouncyCastleProvider());
        trust(folder("INTEROP_ROOT"));
        Session session = new Session(System.getenv("INTEROP_DIRECTORY"));
        if (arguments[0].equals("revoke-by-key")) {
            Certificate.revoke(session, readKey(state(names.get(0) + ".key")),
                readCertificate(state(names.get(0) + ".crt")), RevocationReason.KEY_COMPROMISE);
            return;
        }
        Login login = new AccountBuilder().agreeToTermsOfService().useKeyPair(accountKey()).createLogin(session);
        if (arguments[0].equals("revoke")) {
            Certificate.revoke(login, readCertificate(state(names.get(0) + ".crt")), RevocationReason.SUPERSEDED);
            return;
        }
        obtain(login, arguments[1], names);
    }
}
