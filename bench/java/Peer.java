// One measurement with RabbitMQ's AMQP 1.0 client for Java, as bench/worker.php does it for PHP's clients: the task comes as
// JSON in the argument (bench/lib/Task.php), the figures go to the standard output as JSON.

import com.rabbitmq.client.amqp.Connection;
import com.rabbitmq.client.amqp.Consumer;
import com.rabbitmq.client.amqp.Message;
import com.rabbitmq.client.amqp.Publisher;
import com.rabbitmq.client.amqp.impl.AmqpEnvironmentBuilder;
import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Locale;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public final class Peer {
    private static long started;
    private static long startedCpu;

    /** A value of the task. It is flat, except for the list of queues, of which the first is used. */
    private static String value(String task, String name) {
        Matcher found = Pattern.compile("\"" + name + "\":\\[?\"?([^\",\\]}]*)").matcher(task);
        if (!found.find()) {
            throw new IllegalArgumentException("the task has no " + name);
        }
        return found.group(1).replace("\\/", "/");
    }

    /** Nanoseconds of user and system time of the process, all threads. */
    private static long cpu() {
        return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
    }

    private static void start() {
        startedCpu = cpu();
        started = System.nanoTime();
    }

    private static Message message(Publisher publisher, byte[] payload, int n) {
        return publisher.message(payload)
                .durable(true)
                .contentType("application/octet-stream")
                .property("tenant-id", "company-a")
                .property("request-id", "req-0123456789abcdef")
                .property("number", (long) n);
    }

    private static void publish(Publisher publisher, byte[] payload, int n, Semaphore open) {
        open.acquireUninterruptibly();
        publisher.publish(message(publisher, payload, n), context -> {
            if (context.status() != Publisher.Status.ACCEPTED) {
                fail("a job was not accepted: " + context.failureCause());
            }
            open.release();
        });
    }

    private static void fail(String why) {
        System.err.println(why);
        Runtime.getRuntime().halt(1);
    }

    /** Publishes with at most this many unconfirmed; returns once all are confirmed. */
    private static void publishMany(Publisher publisher, byte[] payload, int from, int to, int window) {
        Semaphore open = new Semaphore(window);
        for (int n = from; n < to; n++) {
            publish(publisher, payload, n, open);
        }
        open.acquireUninterruptibly(window);
    }

    public static void main(String[] arguments) throws Exception {
        String task = arguments[0];
        String mode = value(task, "mode");
        String queue = value(task, "queues");
        int jobs = Integer.parseInt(value(task, "jobs"));
        int warm = Integer.parseInt(value(task, "warm"));
        int size = Integer.parseInt(value(task, "size"));
        URI at = URI.create(value(task, "dsn"));
        String[] user = at.getUserInfo().split(":", 2);
        byte[] payload = new byte[size];
        Arrays.fill(payload, (byte) 'x');
        double[] latencies = new double[mode.equals("push") ? jobs : 0];

        Connection connection = new AmqpEnvironmentBuilder().build().connectionBuilder()
                .host(at.getHost()).port(at.getPort()).username(user[0]).password(user[1]).build();
        if (mode.equals("consume")) {
            consume(connection, queue, jobs + warm, warm, size, Integer.parseInt(value(task, "prefetch")));
        } else {
            int window = mode.equals("push") ? 1 : Integer.parseInt(value(task, "window"));
            Publisher publisher = connection.publisherBuilder().queue(queue).build();
            publishMany(publisher, payload, 0, warm, window);
            start();
            if (mode.equals("push")) {
                Semaphore open = new Semaphore(1);
                for (int n = 0; n < jobs; n++) {
                    long one = System.nanoTime();
                    publish(publisher, payload, warm + n, open);
                    open.acquireUninterruptibly();
                    open.release();
                    latencies[n] = (System.nanoTime() - one) / 1e3;
                }
            } else {
                publishMany(publisher, payload, warm, warm + jobs, window);
            }
        }
        double rate = jobs / ((System.nanoTime() - started) / 1e9);
        double cpu = (cpu() - startedCpu) / 1e3 / jobs;
        Matcher peak = Pattern.compile("VmHWM:\\s*(\\d+)").matcher(Files.readString(Path.of("/proc/self/status")));
        double memory = peak.find() ? Long.parseLong(peak.group(1)) * 1024 / 1e6 : 0;
        String figures = String.format(Locale.ROOT, "\"rate\":%f,\"cpu\":%f,\"memory\":%f", rate, cpu, memory);
        if (latencies.length > 0) {
            Arrays.sort(latencies);
            figures += String.format(Locale.ROOT, ",\"p50\":%f,\"p99\":%f", latencies[jobs / 2], latencies[(int) (jobs * 0.99)]);
        }
        System.out.println("{" + figures + "}");
        connection.close();
        System.exit(0);
    }

    private static void consume(Connection connection, String queue, int all, int warm, int size, int prefetch) throws Exception {
        BitSet seen = new BitSet(all);
        CountDownLatch done = new CountDownLatch(1);
        int[] count = {0};
        Consumer consumer = connection.consumerBuilder().queue(queue).initialCredits(prefetch).messageHandler((context, message) -> {
            int n = ((Number) message.property("number")).intValue();
            if (seen.get(n) || message.body().length != size) {
                fail("job " + n + " came twice, or with another size");
            }
            seen.set(n);
            context.accept();
            if (++count[0] == warm) {
                start();
            }
            if (count[0] == all) {
                done.countDown();
            }
        }).build();
        done.await();
        // Its close waits for the broker's answer, so that the broker has all acknowledgements.
        consumer.close();
    }
}
